// PyTorch's own files (.pth, .pt, .bin): read as data, never run; written so that torch.load(weights_only=True) reads
// them.
#pragma once

#include <filesystem>

#include "checkpoint/pickle/pickle_value.h"
#include "checkpoint/tensors/state_dict.h"

namespace vicha {

enum class PthFormat {
  kZip,          ///< torch.save since PyTorch 1.6
  kLegacy,       ///< torch.save before
  kTorchScript,  ///< torch.jit.save: a program with its weights, such as OpenAI's CLIP files
};

/// What torch.save wrote, in its zip form or the older one. Tensors own their memory; those that
/// share a storage in the file share it here, views keep their strides. Of a TorchScript archive, whose program is
/// never looked at, this is the state dict (see checkpoint/pickle/torchscript.h). Throws DataError naming the file and,
/// where the pickle asks for more than data, the callable: nothing in the file is ever run, imported or written to
/// disk. Big-endian files and compressed entries are refused. `format` receives which it was.
PickleValue read_pth(const std::filesystem::path& path, PthFormat* format = nullptr);

/// Writes weights in torch.save's zip form, atomically: an OrderedDict of tensors, each row-major in a storage of its
/// own, and nothing else. What Python will look up when it loads the file are constants of this program, whatever the
/// names of the tensors are. Throws DataError naming a tensor whose type or layout the form cannot hold.
void write_pth(const std::filesystem::path& path, const StateDict& tensors);

/// Whether the file begins as one that `read_pth` reads.
bool looks_like_pth(const std::filesystem::path& path);
/// Throws DataError if such a file is a zip archive of something else, saying what.
void require_pth_archive(const std::filesystem::path& path);

}  // namespace vicha
