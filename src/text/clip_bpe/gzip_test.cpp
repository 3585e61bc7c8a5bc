#include "text/clip_bpe/gzip.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "text/clip_bpe/gzip_testing.h"

namespace vicha {
namespace {

TEST(Gzip, UnpacksWhatWasPacked) {
  std::string long_text;
  for (int i = 0; i < 100000; ++i) long_text += std::to_string(i);
  for (const std::string& text : {std::string(), std::string("a"), long_text}) {
    const std::string packed = testing_gzip(text);
    EXPECT_TRUE(is_gzip(packed));
    EXPECT_EQ(gunzip(packed, "x.gz", text.size()), text);
  }
  EXPECT_EQ(gunzip(testing_gzip("one ") + testing_gzip("two"), "x.gz", 100), "one two");
  EXPECT_FALSE(is_gzip("plain"));
}

TEST(Gzip, DamagedCutOffAndTooLargeFilesAreRefused) {
  const std::string packed = testing_gzip(std::string(1000, 'x') + "y");
  for (std::size_t length = 0; length < packed.size(); ++length) {
    EXPECT_THROW(gunzip(packed.substr(0, length), "x.gz", 10000), DataError) << length;
  }
  std::string damaged = packed;
  damaged[damaged.size() - 6] ^= 1;  // the checksum
  EXPECT_THROW(gunzip(damaged, "x.gz", 10000), DataError);
  EXPECT_THROW(gunzip(packed + "more", "x.gz", 10000), DataError);
  EXPECT_THROW(gunzip(packed, "x.gz", 1000), DataError);
  // A megabyte of zeros in a kilobyte stops at the limit.
  EXPECT_THROW(gunzip(testing_gzip(std::string(1 << 24, '\0')), "x.gz", 1 << 16), DataError);
}

}  // namespace
}  // namespace vicha
