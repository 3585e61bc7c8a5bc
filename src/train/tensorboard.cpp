#include "train/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <string>

namespace vicha {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    table[byte] = crc;
  }
  return table;
}
constexpr auto kTable = make_table();

template <class Unsigned>
void append_little_endian(std::string& out, Unsigned value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

// Protobuf: a field is its number and wire type, then the value.
enum WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out.push_back(static_cast<char>(value));
}
void put_key(std::string& out, std::uint64_t field, WireType type) { put_varint(out, field << 3 | type); }
void put_integer(std::string& out, std::uint64_t field, std::int64_t value) {
  put_key(out, field, kVarint);
  put_varint(out, static_cast<std::uint64_t>(value));
}
void put_double(std::string& out, std::uint64_t field, double value) {
  put_key(out, field, kFixed64);
  append_little_endian(out, std::bit_cast<std::uint64_t>(value));
}
void put_float(std::string& out, std::uint64_t field, float value) {
  put_key(out, field, kFixed32);
  append_little_endian(out, std::bit_cast<std::uint32_t>(value));
}
void put_bytes(std::string& out, std::uint64_t field, std::string_view value) {
  put_key(out, field, kBytes);
  put_varint(out, value.size());
  out.append(value);
}

// Field numbers of event.proto and summary.proto.
namespace event {
constexpr std::uint64_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
}
namespace summary {
constexpr std::uint64_t kValue = 1, kTag = 1, kSimpleValue = 2;
}
namespace session_log {
constexpr std::uint64_t kStatus = 1;
constexpr std::int64_t kStart = 1;
}  // namespace session_log

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string start_event(std::int64_t step) {
  std::string out;
  put_double(out, event::kWallTime, now());
  put_integer(out, event::kStep, step);
  return out;
}

std::filesystem::path file_name(const std::filesystem::path& folder) {
  return folder / fmt::format("events.out.tfevents.{:010d}.vicha.{}", static_cast<std::int64_t>(now()), ::getpid());
}

}  // namespace

std::uint32_t crc32c(std::string_view data) {
  std::uint32_t crc = 0xffffffffu;
  for (const char c : data) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

std::uint32_t masked_crc32c(std::string_view data) { return std::rotr(crc32c(data), 15) + 0xa282ead8u; }

EventWriter::EventWriter(const std::filesystem::path& folder, std::optional<std::int64_t> resumed_at)
    : file_(file_name(folder)) {
  std::string version = start_event(0);
  put_bytes(version, event::kFileVersion, "brain.Event:2");
  append(version);
  if (!resumed_at) return;
  std::string status, restart = start_event(*resumed_at + 1);
  put_integer(status, session_log::kStatus, session_log::kStart);
  put_bytes(restart, event::kSessionLog, status);
  append(restart);
}

void EventWriter::write(const StepRecord& record) {
  std::string values;
  const auto add = [&](const std::string& tag, double scalar) {
    std::string value;
    put_bytes(value, summary::kTag, tag);
    put_float(value, summary::kSimpleValue, static_cast<float>(scalar));
    put_bytes(values, summary::kValue, value);
  };
  for (const auto& [name, value] : record.losses) add("loss/" + name, value);
  for (const auto& [name, value] : record.measures) add("measure/" + name, value);
  add("train/lr", record.lr);
  add("train/samples_per_s", record.samples_per_s);
  std::string out = start_event(record.step);
  put_bytes(out, event::kSummary, values);
  append(out);
}

void EventWriter::append(std::string_view data) {
  std::string length;
  append_little_endian(length, static_cast<std::uint64_t>(data.size()));
  std::string record = length;
  append_little_endian(record, masked_crc32c(length));
  record.append(data);
  append_little_endian(record, masked_crc32c(data));
  file_.write(record);
}

}  // namespace vicha
