// Tar archives of images and captions, unpacked to a folder and a manifest.
#include "data/manifest/manifest.h"
#include "data/tools/tar_manifest.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static const fuzz::ScratchFolder folder;
  const std::filesystem::path tar = folder.write("in.tar", fuzz::Bytes(data, size)), out = folder / "out";
  UnpackOptions options{.out = out, .skip_damaged = size % 2 == 0, .threads = 1};
  options.limits = {.image_bytes = 1 << 20, .text_bytes = 1 << 16};
  UnpackReport report;
  const bool unpacked = fuzz::accepted([&] { report = unpack_tars({tar}, options); });
  fuzz::require(folder.size() <= 2, "nothing is written outside of the folder");
  if (unpacked && report.records > 0) {
    const Manifest manifest = Manifest::load({out / options.manifest});
    fuzz::require(manifest.size() == report.records, "the manifest has a record for each sample");
    for (std::int64_t record = 0; record < manifest.size(); ++record) {
      const auto image = std::filesystem::path(manifest.image_path(record)).lexically_normal();
      fuzz::require(image.string().starts_with((out / "images").string()), "images lie in their folder");
      fuzz::require(is_regular_file(image), "a record's image is there");
    }
  }
  folder.clear();
  return 0;
}

VICHA_FUZZ_REPAIRED_BY(vicha::fuzz::repair_tar)
