#include "checkpoint/files/lookalike.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/files/convert.h"
#include "checkpoint/files/open.h"
#include "checkpoint/pickle/zip.h"

namespace vicha {
namespace {

using namespace std::string_literals;

class LookalikeTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  /// What is said of a file of this name and content, by `show` and `convert` alike.
  std::string said_of(const std::string& name, std::string_view content) const {
    write_file_atomic(folder_ / name, content);
    const std::string opened = message([&] { open_weights(folder_ / name); });
    EXPECT_NE(opened.find(name), std::string::npos) << opened;
    const std::string result =
        content.starts_with("PK") && content.find("data.pkl") != content.npos ? "to.safetensors" : "to.pth";
    EXPECT_NE(message([&] { convert_weights(folder_ / name, folder_ / result); }), "accepted");
    return opened;
  }

  template <class Read>
  static std::string message(const Read& read) {
    try {
      read();
    } catch (const DataError& error) {
      return error.what();
    }
    return "accepted";
  }

  static void expect_says(const std::string& message, std::string_view part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }

  fs::path folder_ = fs::path(::testing::TempDir()) / ("lookalike_" + std::to_string(::getpid()));
};

TEST_F(LookalikeTest, EachKindOfFileIsNamedForWhatItIs) {
  const std::string rest(2000, '\x05');
  std::string tar(512, '\0');
  tar.replace(0, 9, "model.bin").replace(257, 5, "ustar");
  for (const auto& [content, what] : {
           std::pair{""s, "is empty"},
           {"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"s, "git lfs pull"},
           {"/annex/objects/SHA256E-s1--2.pth\n"s, "git annex get"},
           {"\x1f\x8b\x08" + rest, "gunzip"},
           {"BZh9" + rest, "bunzip2"},
           {"\xfd\x37zXZ\0"s + rest, "unxz"},
           {"\x28\xb5\x2f\xfd" + rest, "unzstd"},
           {tar, "a tar archive"},
           {"\x89HDF\r\n\x1a\n" + rest, "HDF5"},
           {"GGUF\x03" + rest, "GGUF"},
           {"\x93NUMPY\x01" + rest, "NumPy"},
           {"\x1c\0\0\0TFL3"s + rest, "TensorFlow Lite"},
           {"\x08\x07\x12\x07pytorch\x1a\x05" + rest, "ONNX"},
           {"\x08\x01\x12\xf0\x90\x01\x0a" + rest, "SavedModel"},
           {"\x81\xa6params\x81\xa7" + rest, "Flax"},
           {"<!DOCTYPE html><html>Sign in</html>"s, "a web page"},
           {"\xef\xbb\xbf\n <html>"s, "a web page"},
           {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"s, "a message of a web server"},
           {"{\"error\": \"Access to model is restricted\"}"s, "'Access to model is restricted'"},
           {"{\"model_type\": \"clip\", \"hidden_size\": 512}"s, "a model's settings"},
           {"[1, 2]"s, "a text"},
           {"Invalid username or password.\n"s, "it begins 'Invalid username or password.'"},
           {"Entry \x1b[31mnot found"s, "neither a safetensors"},
           {"\x80\x04\x95\x10" + rest, "a bare Python pickle"},
           {std::string(4096, '\0'), "broken off"},
           {"\x89PNG\r\n" + rest, "PNG"},
           {rest, "neither a safetensors file nor one of torch.save"},
       }) {
    for (const char* name : {"weights.pth", "weights.safetensors", "weights"})
      expect_says(said_of(name, content), what);
  }
  expect_says(said_of("model.ckpt.data-00000-of-00001", rest), "part of a TensorFlow checkpoint");
  expect_says(said_of("model.ckpt.index", rest + "\x57\xfb\x80\x8b\x24\x75\x47\xdb"), "index of a TensorFlow");
}

TEST_F(LookalikeTest, OtherZipArchivesAreNamedByWhatIsInThem) {
  const auto zip = [](std::initializer_list<const char*> names) {
    std::string bytes;
    ZipWriter writer([&](std::string_view piece) { bytes += piece; });
    for (const char* name : names) writer.add(name, std::string("content"));
    writer.finish();
    return bytes;
  };
  expect_says(said_of("a.pth", zip({"run/model.pth", "run/log.txt"})), "'run/model.pth' in it");
  expect_says(said_of("a.npz", zip({"w.npy", "b.npy"})), "numpy.load");
  expect_says(said_of("a.keras", zip({"config.json", "model.weights.h5"})), "Keras");
  expect_says(said_of("a.bin", zip({"[Content_Types].xml", "x"})), "a document");
  expect_says(said_of("a.pt", zip({"x\x1b[31m", "y"})), "2 entries, the first 'x\\x1b[31m'");
}

TEST_F(LookalikeTest, FilesCutOffSaySo) {
  StateDict tensors;
  tensors.set("w", at::ones({1000}));
  write_safetensors(folder_ / "w.safetensors", tensors);
  convert_weights(folder_ / "w.safetensors", folder_ / "w.pth");
  for (const char* name : {"w.safetensors", "w.pth"}) {
    const std::string whole = read_file(folder_ / name);
    for (const std::size_t length : {std::size_t{60}, whole.size() / 2, whole.size() - 1}) {
      const std::string message = said_of("cut.bin", std::string_view(whole).substr(0, length));
      EXPECT_NE(message.find("opy or download it again"), std::string::npos) << name << " " << length << message;
    }
  }
}

TEST_F(LookalikeTest, FoldersSayWhatTheyHold) {
  const auto said = [&] { return message([&] { open_weights(folder_); }); };
  expect_says(said(), "without weights");
  write_file_atomic(folder_ / "tf_model.h5", "x");
  expect_says(said(), "'tf_model.h5'");
  write_file_atomic(folder_ / "best.pth", "x");
  expect_says(said(), "it holds 'best.pth'. Name the file itself");
  fs::create_directories(folder_ / "checkpoints");
  expect_says(said(), "a run");
}

}  // namespace
}  // namespace vicha
