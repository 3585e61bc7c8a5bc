// Reads the written files back with a decoder of its own: generic protobuf, checksums bit by bit.
#include "train/tensorboard.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "base/files.h"

namespace vicha {
namespace {

std::uint32_t crc_bit_by_bit(std::string_view data) {
  std::uint32_t crc = 0xffffffffu;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
  }
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

template <class T>
T take(std::string_view& data) {
  T value;
  EXPECT_GE(data.size(), sizeof value);
  std::memcpy(&value, data.data(), sizeof value);
  data.remove_prefix(sizeof value);
  return value;
}

std::uint64_t take_varint(std::string_view& data) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = take<std::uint8_t>(data);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  ADD_FAILURE() << "endless varint";
  return 0;
}

struct Message {
  std::map<std::uint64_t, std::vector<std::string>> bytes;
  std::map<std::uint64_t, std::uint64_t> varints;
  std::map<std::uint64_t, double> doubles;
  std::map<std::uint64_t, float> floats;

  explicit Message(std::string_view data) {
    while (!data.empty()) {
      const std::uint64_t key = take_varint(data);
      switch (key & 7) {
        case 0:
          varints[key >> 3] = take_varint(data);
          break;
        case 1:
          doubles[key >> 3] = take<double>(data);
          break;
        case 5:
          floats[key >> 3] = take<float>(data);
          break;
        case 2: {
          const std::uint64_t size = take_varint(data);
          EXPECT_LE(size, data.size());
          bytes[key >> 3].emplace_back(data.substr(0, size));
          data.remove_prefix(size);
          break;
        }
        default:
          ADD_FAILURE() << "wire type " << (key & 7);
          return;
      }
    }
  }
};

std::vector<Message> read_events(const fs::path& file) {
  const std::string content = read_file(file);
  std::string_view data = content;
  std::vector<Message> events;
  while (!data.empty()) {
    const std::string_view length_bytes = data.substr(0, 8);
    const auto length = take<std::uint64_t>(data);
    EXPECT_EQ(take<std::uint32_t>(data), crc_bit_by_bit(length_bytes));
    const std::string_view body = data.substr(0, length);
    data.remove_prefix(length);
    EXPECT_EQ(take<std::uint32_t>(data), crc_bit_by_bit(body));
    events.emplace_back(body);
  }
  return events;
}

std::map<std::string, float> scalars(const Message& event) {
  std::map<std::string, float> found;
  const Message summary(event.bytes.at(5).at(0));
  for (const std::string& encoded : summary.bytes.at(1)) {
    const Message value(encoded);
    found[value.bytes.at(1).at(0)] = value.floats.at(2);
  }
  return found;
}

class TensorBoard : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("vicha_tensorboard_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path only_file() const {
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
    return fs::directory_iterator(folder_)->path();
  }

  fs::path folder_;
};

TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST_F(TensorBoard, ScalarsComeBack) {
  {
    EventWriter writer(folder_);
    for (std::int64_t step = 1; step <= 200; ++step) {
      writer.write({.step = step,
                    .lr = 1e-4,
                    .losses = {{"total", 1.0 / static_cast<double>(step)}, {"itc", 3.0}},
                    .measures = {{"temperature", 0.07}},
                    .samples_per_s = 12.5});
    }
  }
  EXPECT_NE(only_file().filename().string().find("tfevents"), std::string::npos);
  const std::vector<Message> events = read_events(only_file());
  ASSERT_EQ(events.size(), 201u);
  EXPECT_EQ(events[0].bytes.at(3).at(0), "brain.Event:2");
  for (std::size_t step = 1; step <= 200; ++step) {
    EXPECT_EQ(events[step].varints.at(2), step);
    EXPECT_GT(events[step].doubles.at(1), 1.5e9);
    const std::map<std::string, float> expected = {{"loss/total", 1.0f / static_cast<float>(step)},
                                                   {"loss/itc", 3.0f},
                                                   {"measure/temperature", 0.07f},
                                                   {"train/lr", 1e-4f},
                                                   {"train/samples_per_s", 12.5f}};
    const auto found = scalars(events[step]);
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [tag, value] : expected) EXPECT_FLOAT_EQ(found.at(tag), value) << tag;
  }
}

TEST_F(TensorBoard, ResumedSessionTellsReadersToForgetLaterSteps) {
  { EventWriter writer(folder_, 40); }
  const std::vector<Message> events = read_events(only_file());
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].varints.at(2), 41u);
  EXPECT_EQ(Message(events[1].bytes.at(7).at(0)).varints.at(1), 1u);  // SessionLog.START
}

}  // namespace
}  // namespace vicha
