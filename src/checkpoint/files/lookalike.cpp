#include "checkpoint/files/lookalike.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

#include "base/error.h"
#include "base/file_content.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

constexpr std::string_view kConvert =
    "Convert it in Python: save the weights with safetensors or torch.save, under the names that README.md says";
constexpr std::string_view kAgain = "Download the file itself; a site may ask to log in, or to accept a licence";

std::string remedy_of(const FileContent& content, const fs::path& path) {
  switch (content.kind) {
    case FileKind::kEmpty:
    case FileKind::kZeros:
      return "Copy or download it again";
    case FileKind::kCompressed:
    case FileKind::kArchive:
    case FileKind::kTar:
      return content.command.empty() ? "Copy or download it again"
                                     : content_remedy(content, path.string(), "") + ", and name the file of weights";
    case FileKind::kWeights:
    case FileKind::kArrays:
      return std::string(kConvert);
    case FileKind::kWebPage:
    case FileKind::kXml:
      return std::string(kAgain);
    default:
      return content_remedy(content, path.string(), "Give a file of weights");
  }
}

std::string_view first_line(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text.substr(0, std::min<std::size_t>(text.find_first_of("\r\n"), 80));
}

/// TensorFlow's index of a checkpoint ends as LevelDB's tables do.
bool ends_as_table(const fs::path& path, std::uint64_t size) {
  std::ifstream file(path, std::ios::binary);
  char tail[8] = {};
  if (size < 48 || !file.seekg(static_cast<std::streamoff>(size - 8)).read(tail, 8)) return false;
  return std::string_view(tail, 8) == "\x57\xfb\x80\x8b\x24\x75\x47\xdb"sv;
}

/// Protocol buffers have no mark of their own: the first fields of ONNX's and TensorFlow's models do.
std::string_view protocol_buffer(std::string_view head) {
  if (head.size() < 16) return "";
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(head[i]); };
  if (byte(0) == 0x08 && byte(1) > 0 && byte(1) < 32 && byte(2) == 0x12) {
    // Field 2 is the producer's name in ONNX, in a SavedModel a message.
    const std::string_view producer = head.substr(4, std::min<std::size_t>(byte(3), 12));
    return byte(3) < 64 && is_text(producer) ? "an ONNX model" : "a TensorFlow SavedModel (.pb)";
  }
  if (byte(0) == 0x08 && byte(1) > 0 && byte(1) < 32 && (byte(2) == 0x3a || byte(2) == 0x1a)) return "an ONNX model";
  const bool graph = byte(0) == 0x0a && (head.find("Placeholder") != head.npos || head.find("\x12\x05"
                                                                                            "Const") != head.npos);
  return graph ? "a TensorFlow graph (.pb)" : "";
}

/// A map of few names, as flax.serialization writes.
bool is_msgpack_map(std::string_view head) {
  if (head.size() < 4) return false;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(head[i]); };
  const std::size_t key = byte(0) > 0x80 && byte(0) < 0x90 ? 1 : byte(0) == 0xde ? 3 : byte(0) == 0xdf ? 5 : 0;
  if (key == 0 || key + 1 >= head.size() || byte(key) <= 0xa0 || byte(key) >= 0xc0) return false;
  return is_text(head.substr(key + 1, byte(key) - 0xa0U));
}

bool is_tensorflow_data(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.find(".data-") != std::string::npos && name.find("-of-") != std::string::npos;
}

bool is_pickle(std::string_view head) {
  const bool binary = head.size() > 1 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5;
  return binary || head.starts_with("(dp") || head.starts_with("(lp") || head.starts_with("ccopy_reg\n") ||
         head.starts_with("ccollections\n");
}

}  // namespace

void refuse_lookalike(const fs::path& path, std::string_view head, std::uint64_t size) {
  const auto refuse = [&](std::string_view what, std::string_view remedy) {
    throw DataError(path.string(), "is " + std::string(what), remedy);
  };
  if (const std::optional<FileContent> content = file_content(head)) {
    const bool xml = content->kind == FileKind::kXml, page = content->kind == FileKind::kWebPage;
    refuse(xml    ? "a message of a web server (XML), not weights"
           : page ? "a web page, not weights"
                  : std::string(content->what),
           remedy_of(*content, path));
  }
  std::string_view text = head;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (is_pickle(head)) {
    refuse("a bare Python pickle, not a file of torch.save",
           "It may carry code. If you trust its origin, load it in Python and save the tensors with torch.save");
  }
  if (is_text(text)) refuse("a text, not weights; it begins " + in_quotes(first_line(text)), kAgain);
  if (const std::string_view model = protocol_buffer(head); !model.empty()) refuse(model, kConvert);
  if (is_msgpack_map(head)) refuse("a msgpack file (Flax or JAX weights)", kConvert);
  if (ends_as_table(path, size)) refuse("the index of a TensorFlow checkpoint", kConvert);
  if (is_tensorflow_data(path)) refuse("by its name part of a TensorFlow checkpoint", kConvert);
}

void refuse_folder(const fs::path& path) {
  const std::string where = path.string();
  std::set<std::string> weights, foreign;
  std::error_code failed;
  if (fs::is_directory(path / "checkpoints", failed)) {
    throw DataError(where, "is the folder of a run, not a checkpoint", "Name one of its checkpoints/step-…");
  }
  if (fs::exists(path / ".metadata", failed)) {
    throw DataError(
        where, "is a distributed checkpoint of PyTorch",
        "Make one file of it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch " + where + " FILE");
  }
  for (const auto& entry : fs::directory_iterator(path, failed)) {
    const std::string name = entry.path().filename().string(), ending = entry.path().extension().string();
    for (const char* own : {".safetensors", ".pth", ".pt", ".bin", ".ckpt"}) {
      if (ending == own) weights.insert(name);
    }
    for (const char* other :
         {".h5", ".msgpack", ".onnx", ".gguf", ".pb", ".tflite", ".npz", ".ot", ".index", ".keras"}) {
      if (ending == other) foreign.insert(name);
    }
  }
  const auto listed = [](const std::set<std::string>& names) {
    std::string text;
    std::size_t count = 0;
    for (const std::string& name : names) {
      if (++count > 3) break;
      text += (count == 1 ? "" : ", ") + in_quotes(name);
    }
    return text + (names.size() > 3 ? ", …" : "");
  };
  if (!weights.empty()) {
    throw DataError(where, "is a folder without model.safetensors or pytorch_model.bin; it holds " + listed(weights),
                    "Name the file itself");
  }
  if (!foreign.empty()) {
    throw DataError(where, "is a folder with weights of another program only (" + listed(foreign) + ")",
                    "Download model.safetensors or pytorch_model.bin, if there is one, or convert them in Python");
  }
  throw DataError(where, "is a folder without weights",
                  "Looked for model.safetensors, pytorch_model.bin and an index.json of either");
}

}  // namespace vicha
