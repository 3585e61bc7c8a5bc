// How an embedding store lies in its file. Numbers are little-endian; blocks begin at multiples of 64 bytes.
//
// File:  "VICHAEMB", u32 version, u32 length of the JSON, JSON (source, width, vectors, type, of features also layout),
//        zeros, u32 CRC-32 of all that; together a multiple of 64. Then blocks to the end. The version is 1, or 2 where
//        the type is int8 or there is a layout: older programs read whatever they would read right.
// StoreBlock: BlockHeader; index: u64 contents, u32 key lengths, the keys' bytes; zeros to 64; vectors; zeros to 64.
// Record: vectors x width numbers of float32 or float16; or, of int8, fp32 scales of the vectors, then vectors x width
//        int8. A number is its int8 times its vector's scale. Scales have 16 significant bits at most, so that the
//        product is exact in fp32 and rounding it again changes nothing.
//
// A block is written by one call and synced before the next begins. So what a kill or a power failure leaves unfinished
// is the end of the file: less than a block, or a block with a wrong sum, with no block behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/store/store.h"

namespace vicha::store_detail {

inline constexpr std::uint32_t kPlainVersion = 1, kFeatureVersion = 2;
inline constexpr std::size_t kMaxKey = 65535;                         ///< bytes
inline constexpr std::uint64_t kBlockBytes = std::uint64_t{1} << 20;  ///< a block grows no longer, one record excepted

struct StoreHeader {
  SourceWeights source;
  StoreShape shape;
  std::uint64_t size = 0;  ///< bytes: where the first block begins
  std::uint32_t tag = 0;   ///< its checksum, repeated by every block of this file
};

struct BlockHeader {
  char magic[4];
  std::uint32_t crc;  ///< of the bytes after it
  std::uint32_t tag;
  std::uint32_t records;
  std::uint64_t number;  ///< of the block, from 0
  std::uint64_t first_record;
  std::uint64_t length;  ///< bytes, from this header to the next
  std::uint32_t index_bytes, index_crc, vectors_crc;
  std::uint32_t zero[3];
};
static_assert(sizeof(BlockHeader) == 64);

struct StoreBlock {
  std::uint64_t begin = 0, vectors = 0;  ///< offsets in the file
  std::int64_t first_record = 0, records = 0;
  std::uint32_t vectors_crc = 0;
};

struct StoreScan {
  StoreHeader header;
  std::vector<StoreBlock> blocks;
  std::vector<std::string_view> keys;  ///< of all records; they lie in the scanned bytes
  std::uint64_t end = 0;               ///< of the last whole block
  std::uint64_t lost = 0;              ///< bytes after it
  std::string damage;  ///< why a last block that is there in full is not counted; empty if there is none
};

/// Bytes of the vectors of one record.
std::uint64_t record_bytes(const StoreShape& shape);
/// "1 x 512 float16", "256 x 768 int8 (features of 16x16 patches)".
std::string describe(const StoreShape& shape);

std::string layout_json(const FeatureLayout& layout);
/// Throws DataError naming `where` if the text is none.
FeatureLayout layout_from_json(std::string_view json, const std::string& where);

/// Throws DataError naming `where` if no file can have this shape.
void check_shape(const StoreShape& shape, std::string_view where);
std::string encode_file_header(const SourceWeights& source, const StoreShape& shape);
/// Nothing if the file was cut short in its header (or never got one). Throws DataError naming `where` if it is no
/// store, of a later version, or damaged.
std::optional<StoreHeader> decode_file_header(std::span<const std::byte> file, const std::string& where);

/// `vectors` holds record_bytes a key.
std::string encode_block(const StoreHeader& header, std::uint64_t number, std::uint64_t first_record,
                         std::span<const std::string_view> keys, std::span<const std::uint64_t> contents,
                         std::span<const char> vectors);

/// Reads headers and indices of all blocks and checks their sums, and the vectors of the last one. Throws DataError
/// naming the block where one is damaged that is not the last.
StoreScan scan_blocks(std::span<const std::byte> file, const StoreHeader& header, const std::string& where);
bool vectors_right(std::span<const std::byte> file, const StoreBlock& block, const StoreShape& shape);
/// The error for a damaged block: which, where, and how to keep what stands before it.
[[noreturn]] void refuse_block(const std::string& where, std::size_t number, const StoreBlock& block,
                               std::string_view what);

}  // namespace vicha::store_detail
