// Checksums set right in place, as far as the damaged file lets them be found.
#include <zlib.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "fuzz.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace vicha::fuzz {
namespace {

using Span = std::span<std::uint8_t>;

template <class T>
T get(Span file, std::size_t at) {
  T value;
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}

template <class T>
void put(Span file, std::size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof value);
}

std::uint32_t sum_of(Span bytes) {
  return static_cast<std::uint32_t>(::crc32(0, bytes.data(), static_cast<uInt>(bytes.size())));
}

bool fits(Span file, std::uint64_t at, std::uint64_t size) { return at <= file.size() && size <= file.size() - at; }

bool stands(Span file, std::uint64_t at, std::string_view text) {
  return fits(file, at, text.size()) && std::memcmp(file.data() + at, text.data(), text.size()) == 0;
}

std::uint64_t aligned(std::uint64_t size) { return (size + 63) / 64 * 64; }

/// The number under a key of a store's header; few digits, as larger ones do not fit an input.
std::uint64_t number_in(std::string_view header, std::string_view key) {
  std::uint64_t number = 0;
  const std::size_t found = header.find(key);
  if (found == std::string_view::npos) return 0;
  for (const char digit : header.substr(found + key.size(), 6)) {
    if (digit < '0' || digit > '9') break;
    number = 10 * number + static_cast<std::uint64_t>(digit - '0');
  }
  return number;
}

std::uint64_t record_bytes(std::string_view header) {
  const std::uint64_t width = number_in(header, "\"width\":"), vectors = number_in(header, "\"vectors\":");
  if (header.find("\"int8\"") != std::string_view::npos) return vectors * (width + 4);
  return width * vectors * (header.find("float32") != std::string_view::npos ? 4 : 2);
}

}  // namespace

std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed, Repair repair) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 8 != 0) repair({data, size});
  return size;
}

void repair_zip(Span file) {
  constexpr std::size_t kEnd = 22, kDirectory = 46, kLocal = 30;
  if (file.size() < kEnd) return;
  std::size_t end = file.size() - kEnd;
  while (!stands(file, end, "PK\5\6")) {
    if (end-- == 0) return;
  }
  std::uint64_t at = get<std::uint32_t>(file, end + 16);
  for (std::uint32_t left = get<std::uint16_t>(file, end + 10); left > 0; --left) {
    if (!fits(file, at, kDirectory) || !stands(file, at, "PK\1\2")) return;
    const std::uint64_t size = get<std::uint32_t>(file, at + 20), local = get<std::uint32_t>(file, at + 42);
    if (fits(file, local, kLocal)) {
      const std::uint64_t data =
          local + kLocal + get<std::uint16_t>(file, local + 26) + get<std::uint16_t>(file, local + 28);
      if (fits(file, data, size)) {
        const std::uint32_t sum = sum_of(file.subspan(data, size));
        put(file, at + 16, sum);
        put(file, local + 14, sum);
      }
    }
    at += kDirectory + get<std::uint16_t>(file, at + 28) + get<std::uint16_t>(file, at + 30) +
          get<std::uint16_t>(file, at + 32);
  }
}

void repair_png(Span file) {
  const auto big_endian = [&](std::size_t at) { return __builtin_bswap32(get<std::uint32_t>(file, at)); };
  for (std::uint64_t at = 8; fits(file, at, 12);) {
    const std::uint64_t length = big_endian(at);
    if (!fits(file, at, length + 12)) return;
    put(file, at + 8 + length, __builtin_bswap32(sum_of(file.subspan(at + 4, length + 4))));
    at += length + 12;
  }
}

void repair_tar(Span file) {
  constexpr std::size_t kBlock = 512, kSum = 148, kSumSize = 8, kMagic = 257;
  for (std::size_t at = 0; fits(file, at, kBlock); at += kBlock) {
    if (!stands(file, at + kMagic, "ustar")) continue;
    std::memset(file.data() + at + kSum, ' ', kSumSize);
    unsigned sum = 0;
    for (const std::uint8_t byte : file.subspan(at, kBlock)) sum += byte;
    std::array<char, kSumSize> text{};
    std::snprintf(text.data(), text.size(), "%06o", sum);
    std::memcpy(file.data() + at + kSum, text.data(), text.size() - 1);
  }
}

// The layout: concepts/store/store_format.h.
void repair_store(Span file) {
  constexpr std::size_t kFixed = 16, kHeader = 64;
  if (file.size() < kFixed) return;
  std::uint64_t at = aligned(kFixed + std::uint64_t{get<std::uint32_t>(file, 12)} + 4);
  if (!fits(file, 0, at)) return;
  const std::uint32_t tag = sum_of(file.first(at - 4));
  const std::uint64_t record = record_bytes({reinterpret_cast<const char*>(file.data()) + kFixed, at - kFixed});
  put(file, at - 4, tag);
  while (fits(file, at, kHeader)) {
    const std::uint64_t length = get<std::uint64_t>(file, at + 32), index = get<std::uint32_t>(file, at + 40);
    put(file, at + 8, tag);
    if (fits(file, at + kHeader, index)) put(file, at + 44, sum_of(file.subspan(at + kHeader, index)));
    const std::uint64_t vectors = aligned(kHeader + index), bytes = get<std::uint32_t>(file, at + 12) * record;
    if (fits(file, at + vectors, bytes)) put(file, at + 48, sum_of(file.subspan(at + vectors, bytes)));
    put(file, at + 4, sum_of(file.subspan(at + 8, kHeader - 8)));
    if (length < kHeader || !fits(file, at, length)) return;
    at += length;
  }
}

}  // namespace vicha::fuzz
