// The weights in a TorchScript archive (torch.jit.save), as which OpenAI published CLIP.
#pragma once

#include <string_view>

#include "checkpoint/pickle/pickle_value.h"

namespace vicha {

/// From the object in the archive's data.pkl, read with `PickleOptions::torchscript`, to an OrderedDict of tensors as
/// `torch.jit.load(file).state_dict()` has them: attributes of nested modules under dotted names, in the order of the
/// file. Which attributes the program calls parameters and buffers stands in its code, which is never looked at, so
/// every attribute that is a tensor is there; lists of tensors and everything else are left out. Only the whole numbers
/// `input_resolution`, `context_length` and `vocab_size` of the outermost module become 0-d int64 tensors, as they are
/// in the state dicts of CLIP that OpenAI's code saves. Throws DataError naming `where` if the object is no module,
/// holds no tensor, or has names that cannot be (two tensors under one, or beyond 512 bytes).
PickleValue torchscript_state(const PickleValue& object, std::string_view where);

}  // namespace vicha
