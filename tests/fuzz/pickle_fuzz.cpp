// Pickles, one after the other as older .pth files have them, and all that is done with a tree that was read.
#include <ATen/ATen.h>

#include "checkpoint/pickle/model_state.h"
#include "checkpoint/pickle/pickle_describe.h"
#include "checkpoint/pickle/pickle_reader.h"
#include "checkpoint/pickle/torchscript.h"
#include "fuzz.h"
#include "tensors.h"

namespace {

using namespace vicha;

/// Every storage is there, as far as it is small.
c10::Storage storage(std::string_view key, c10::ScalarType, std::int64_t bytes) {
  constexpr std::int64_t kMost = 1 << 16;
  if (key == "missing" || bytes > kMost) throw DataError("fuzz", "there is no such storage");
  return at::zeros({bytes}, at::kByte).storage();
}

void use(const PickleValue& root) {
  describe_pickle(root);
  fuzz::accepted([&] { fuzz::check_tensors(flatten_tensors(root)); });
  fuzz::accepted([&] {
    const ModelState found = locate_model_state(root);
    if (holds_more(root, *found.dict)) describe_pickle(root, found.dict);
  });
  fuzz::accepted([&] { fuzz::check_tensors(find_model_state(root)); });
  fuzz::accepted([&] { torchscript_state(root, "fuzz"); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of({data, size});
  for (const bool torchscript : {false, true}) {
    std::string_view left = text;
    for (int pickles = 0; pickles < 5 && !left.empty(); ++pickles) {
      PickleValue root;
      std::size_t consumed = 0;
      const PickleOptions options{.where = "fuzz", .storages = storage, .torchscript = torchscript};
      if (!fuzz::accepted([&] { root = read_pickle(left, options, &consumed); })) break;
      fuzz::require(consumed > 0 && consumed <= left.size(), "a pickle lies inside the data");
      left.remove_prefix(consumed);
      use(root);
    }
  }
  return 0;
}
