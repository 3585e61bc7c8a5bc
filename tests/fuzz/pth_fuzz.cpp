// Whole files of torch.save, zip and older, and of torch.jit.save.
#include "checkpoint/pickle/model_state.h"
#include "checkpoint/pickle/pickle_describe.h"
#include "checkpoint/pickle/pth.h"
#include "fuzz.h"
#include "tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static fuzz::MemoryFile file;
  file.write(fuzz::Bytes(data, size));
  looks_like_pth(file.path());
  PickleValue root;
  if (!fuzz::accepted([&] { root = read_pth(file.path()); })) return 0;
  describe_pickle(root);
  fuzz::accepted([&] { fuzz::check_tensors(flatten_tensors(root)); });
  fuzz::accepted([&] { fuzz::check_tensors(find_model_state(root)); });
  return 0;
}

VICHA_FUZZ_REPAIRED_BY(vicha::fuzz::repair_zip)
