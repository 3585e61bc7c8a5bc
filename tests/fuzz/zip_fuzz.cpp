// Zip archives, as torch.save writes them: the directory, and every entry that is not too large.
#include "checkpoint/pickle/zip.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static fuzz::MemoryFile file;
  file.write(fuzz::Bytes(data, size));
  fuzz::accepted([&] {
    ZipReader zip(file.path());
    for (const ZipReader::Entry& entry : zip.entries()) {
      fuzz::require(zip.find(entry.name) == &entry, "an entry is found by its name");
      fuzz::accepted([&] { fuzz::require(zip.read(entry).size() == entry.size, "an entry has the size it says"); });
    }
  });
  return 0;
}

VICHA_FUZZ_REPAIRED_BY(vicha::fuzz::repair_zip)
