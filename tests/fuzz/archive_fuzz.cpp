// A pickle as the data.pkl of an archive with whole storages beside it: what a pickle says, and what lies there, meet.
// The first byte tells whether the archive has a program, as torch.jit.save's have.
#include "checkpoint/pickle/model_state.h"
#include "checkpoint/pickle/pickle_describe.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/pickle/zip.h"
#include "fuzz.h"
#include "tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static fuzz::MemoryFile file;
  if (size == 0) return 0;
  const bool torchscript = data[0] == 'T';
  const std::string_view pickle = fuzz::text_of({data + 1, size - 1});
  std::string archive;
  ZipWriter zip([&](std::string_view piece) { archive += piece; });
  zip.add("archive/data.pkl", pickle);
  for (int i = 0; i < 12; ++i) {  // as the fixtures' are: few numbers in most
    zip.add("archive/data/" + std::to_string(i), std::string(i < 8 ? 24 : 4096, static_cast<char>(i)));
  }
  if (torchscript) {
    zip.add("archive/code/__torch__.py", std::string_view("class Model(Module):\n  pass\n"));
    zip.add("archive/constants.pkl", std::string_view("\x80\x02).", 4));
  }
  zip.add("archive/version", std::string_view("3\n"));
  zip.finish();
  file.write(archive);
  PickleValue root;
  if (!fuzz::accepted([&] { root = read_pth(file.path()); })) return 0;
  describe_pickle(root);
  fuzz::accepted([&] { fuzz::check_tensors(flatten_tensors(root)); });
  fuzz::accepted([&] { fuzz::check_tensors(find_model_state(root)); });
  return 0;
}
