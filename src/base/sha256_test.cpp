#include "base/sha256.h"

#include <gtest/gtest.h>

namespace vicha {
namespace {

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesOfAnySizeGiveTheSameDigest) {
  // Lengths around the block size decide where the padding goes.
  for (std::size_t length = 50; length < 140; ++length) {
    std::string data;
    for (std::size_t i = 0; i < length; ++i) data.push_back(static_cast<char>(i * 37));
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{63}, std::size_t{65}}) {
      Sha256 hash;
      for (std::size_t at = 0; at < length; at += step) hash.update(std::string_view(data).substr(at, step));
      EXPECT_EQ(hash.hex(), sha256_hex(data)) << length << " in steps of " << step;
    }
  }
}

}  // namespace
}  // namespace vicha
