#include "search/codes.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "concepts/embed/embed.h"
#include "search/damaged_part.h"

namespace vicha {
namespace {

constexpr char kCodesMagic[] = "VICHAIDX";
constexpr std::uint32_t kCodesVersion = 1;
constexpr std::uint64_t kCodesAlign = 64;
constexpr std::int64_t kRowsOfMoments = 65536, kMostWidth = 65536;
constexpr std::int64_t kMostRows = std::int64_t{1} << 31, kMostFiles = std::int64_t{1} << 32;

std::uint64_t aligned(std::uint64_t bytes) { return (bytes + kCodesAlign - 1) / kCodesAlign * kCodesAlign; }

/// Bytes of each section, in their order.
std::array<std::uint64_t, 12> section_bytes(const CodesHeader& h) {
  const auto n = static_cast<std::uint64_t>(h.rows), e = static_cast<std::uint64_t>(h.width),
             files = static_cast<std::uint64_t>(h.files), clusters = static_cast<std::uint64_t>(h.clusters);
  return {n * static_cast<std::uint64_t>(h.stride),
          4 * n,
          4 * n,
          4 * n,
          8 * n,
          8 * n,
          4 * (n + 1),
          4 * files,
          8 * (files + 1),
          4 * e,
          4 * e * e,
          clusters == 0 ? 0 : aligned(4 * clusters * e) + 8 * (clusters + 1)};
}

std::uint64_t total_bytes(const CodesHeader& h) {
  std::uint64_t total = sizeof(CodesHeader);
  for (const std::uint64_t bytes : section_bytes(h)) total += aligned(bytes);
  return total;
}

std::uint32_t crc_of(CodesHeader header) {
  header.crc = 0;
  return static_cast<std::uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(&header), sizeof header));
}

bool plausible(const CodesHeader& h) {
  return h.rows > 0 && h.rows < kMostRows && h.width > 0 && h.width <= kMostWidth && h.stride % 64 == 0 &&
         h.stride >= h.width && h.stride < h.width + 64 && h.files >= 0 && h.files < kMostFiles && h.clusters >= 0 &&
         h.clusters <= h.rows && h.looked_at >= 0 && h.looked_at <= h.clusters;
}

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// Sections one after the other, each padded.
class SectionWriter {
 public:
  explicit SectionWriter(AtomicFile& file) : file_(file) {}
  void write(std::string_view bytes) {
    pending_ += bytes;
    written_ += bytes.size();
    if (pending_.size() >= kPiece) flush();
  }
  void end_section() {
    pending_.append(aligned(written_) - written_, '\0');
    written_ = 0;
  }
  void section(std::string_view bytes) {
    write(bytes);
    end_section();
  }
  void flush() {
    file_.append(pending_);
    pending_.clear();
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 22;
  AtomicFile& file_;
  std::string pending_;
  std::uint64_t written_ = 0;
};

/// Rows in the order of their clusters, and where each begins.
std::pair<std::vector<std::uint32_t>, std::vector<std::uint64_t>> cluster_order(const CodesContent& content,
                                                                                std::int64_t rows, std::int64_t count) {
  std::vector<std::uint32_t> order(static_cast<std::size_t>(rows));
  std::iota(order.begin(), order.end(), 0u);
  std::vector<std::uint64_t> begin;
  if (count == 0) return {std::move(order), std::move(begin)};
  const std::vector<std::uint32_t>& cluster = content.cluster_of_rows;
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return cluster[a] < cluster[b]; });
  begin.assign(static_cast<std::size_t>(count) + 1, 0);
  for (const std::uint32_t c : cluster) ++begin[c + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  return {std::move(order), std::move(begin)};
}

/// Mean and second moment of the unit vectors, of so many rows, evenly spaced.
std::pair<at::Tensor, at::Tensor> moments(const StoredVectors& vectors) {
  const std::int64_t rows = std::min(vectors.size(), kRowsOfMoments), width = vectors.width(), at_once = 4096;
  at::Tensor sum = at::zeros({width}, at::kDouble), second = at::zeros({width, width}, at::kFloat);
  for (std::int64_t first = 0; first < rows; first += at_once) {
    const std::int64_t count = std::min(at_once, rows - first);
    const at::Tensor block = at::empty({count, width}, at::kFloat);
    for (std::int64_t i = 0; i < count; ++i) {
      vectors.unit((first + i) * vectors.size() / rows,
                   {block.data_ptr<float>() + i * width, static_cast<std::size_t>(width)});
    }
    sum += block.to(at::kDouble).sum(0);
    second.addmm_(block.t(), block);
  }
  const auto n = static_cast<double>(rows);
  return {(sum / n).to(at::kFloat).contiguous(), (second / n).contiguous()};
}

std::uint64_t sum_behind_header(std::span<const std::byte> bytes) {
  const std::uint64_t sum = content_hash(
      {reinterpret_cast<const std::uint8_t*>(bytes.data()) + sizeof(CodesHeader), bytes.size() - sizeof(CodesHeader)});
  return sum == 0 ? 1 : sum;
}

/// In place: before the index is committed.
void replace_header(const fs::path& path, CodesHeader header) {
  header.crc = crc_of(header);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header), sizeof header);
  file.close();
  if (!file) throw Error(fmt::format("{}: cannot be written", path.string()));
}

}  // namespace

void write_codes(const fs::path& path, const StoredVectors& vectors, const CodesContent& content) {
  const std::int64_t rows = vectors.size(), width = vectors.width(), stride = (width + 63) / 64 * 64;
  CodesHeader header{};
  std::memcpy(header.magic, kCodesMagic, sizeof header.magic);
  header.version = kCodesVersion;
  header.build = content.build;
  header.rows = rows;
  header.width = width;
  header.stride = stride;
  header.files = static_cast<std::int64_t>(content.line_begin.size()) - 1;
  header.clusters = static_cast<std::int64_t>(content.centroids.size()) / width;
  header.looked_at = content.looked_at;
  header.store_bytes = vectors.file_bytes();
  header.file_bytes = total_bytes(header);
  header.crc = crc_of(header);
  VICHA_ASSERT(plausible(header) && header.files == static_cast<std::int64_t>(content.files_of_rows.size()));
  const auto [order, begin] = cluster_order(content, rows, header.clusters);

  AtomicFile file(path);
  SectionWriter out(file);
  out.section({reinterpret_cast<const char*>(&header), sizeof header});
  std::vector<float> unit(static_cast<std::size_t>(width)), scales, errors;
  std::vector<std::int8_t> code(static_cast<std::size_t>(stride), 0);
  scales.reserve(order.size());
  errors.reserve(order.size());
  for (const std::uint32_t row : order) {
    vectors.unit(row, unit);
    float largest = 0;
    for (const float v : unit) largest = std::max(largest, std::abs(v));
    const float scale = largest / 127;
    double error = 0;
    for (std::size_t i = 0; i < unit.size(); ++i) {
      code[i] = scale > 0 ? static_cast<std::int8_t>(std::lround(unit[i] / scale)) : std::int8_t{0};
      const double d = static_cast<double>(unit[i]) - static_cast<double>(scale) * code[i];
      error += d * d;
    }
    scales.push_back(scale);
    errors.push_back(static_cast<float>(std::sqrt(error)));
    out.write({reinterpret_cast<const char*>(code.data()), code.size()});
  }
  out.end_section();
  out.section(bytes_of(scales));
  out.section(bytes_of(errors));
  out.section(bytes_of(order));
  out.section(bytes_of(content.vector_offsets));
  out.section(bytes_of(content.picture_hashes));
  out.section(bytes_of(content.file_begin));
  out.section(bytes_of(content.files_of_rows));
  out.section(bytes_of(content.line_begin));
  const auto [mean, second] = moments(vectors);
  out.section({static_cast<const char*>(mean.const_data_ptr()), mean.nbytes()});
  out.section({static_cast<const char*>(second.const_data_ptr()), second.nbytes()});
  if (header.clusters > 0) {
    out.section(bytes_of(content.centroids));
    out.section(bytes_of(begin));
  }
  out.flush();
  file.commit();
  header.sum = sum_behind_header(MappedFile(path).bytes());
  replace_header(path, header);
}

void set_looked_at(const fs::path& path, std::int64_t clusters) {
  CodesHeader header = Codes(path).header();
  header.looked_at = clusters;
  replace_header(path, header);
}

Codes::Codes(const fs::path& path) : path_(path), file_(std::make_unique<MappedFile>(path)) {
  const std::span<const std::byte> bytes = file_->bytes();
  if (bytes.size() < sizeof(CodesHeader) || std::memcmp(bytes.data(), kCodesMagic, sizeof CodesHeader{}.magic) != 0) {
    refuse("is not a part of an index");
  }
  header_ = reinterpret_cast<const CodesHeader*>(bytes.data());
  if (header_->version > kCodesVersion) {
    throw DataError(path.string(),
                    fmt::format("is of version {}, this program reads {}", header_->version, kCodesVersion),
                    "Use a newer vicha, or index again into a new folder");
  }
  if (header_->crc != crc_of(*header_) || !plausible(*header_)) refuse("is damaged in its header");
  const auto sizes = section_bytes(*header_);
  if (header_->file_bytes != total_bytes(*header_) || header_->file_bytes != bytes.size()) {
    refuse(fmt::format("has {} bytes where {} belong", bytes.size(), total_bytes(*header_)));
  }
  std::array<const std::byte*, 12> at{};
  const std::byte* place = bytes.data() + sizeof(CodesHeader);
  for (std::size_t i = 0; i < at.size(); ++i) {
    at[i] = place;
    place += aligned(sizes[i]);
  }
  const auto view = [&]<class T>(std::span<const T>& span, std::size_t i, std::uint64_t count) {
    span = {reinterpret_cast<const T*>(at[i]), static_cast<std::size_t>(count)};
  };
  const auto n = static_cast<std::uint64_t>(rows()), e = static_cast<std::uint64_t>(width()),
             files = static_cast<std::uint64_t>(header_->files), k = static_cast<std::uint64_t>(header_->clusters);
  view(codes_, 0, sizes[0]);
  view(scales_, 1, n);
  view(errors_, 2, n);
  view(row_of_, 3, n);
  view(vector_offsets_, 4, n);
  view(picture_hashes_, 5, n);
  view(file_begin_, 6, n + 1);
  view(files_, 7, files);
  view(line_begin_, 8, files + 1);
  view(mean_, 9, e);
  view(second_, 10, e * e);
  if (k > 0) {
    view(centroids_, 11, k * e);
    cluster_begin_ = {reinterpret_cast<const std::uint64_t*>(at[11] + aligned(4 * k * e)),
                      static_cast<std::size_t>(k + 1)};
    if (cluster_begin_.front() != 0 || cluster_begin_.back() != n ||
        !std::is_sorted(cluster_begin_.begin(), cluster_begin_.end())) {
      refuse("is damaged in its clusters");
    }
  }
}

bool Codes::right() const { return header_->sum == 0 || header_->sum == sum_behind_header(file_->bytes()); }

std::span<const std::uint32_t> Codes::files(std::int64_t row) const {
  const auto i = static_cast<std::size_t>(row);
  const std::uint32_t begin = file_begin_[i], end = file_begin_[i + 1];
  if (begin >= end || end > files_.size()) refuse(fmt::format("is damaged at picture {}", row));
  return files_.subspan(begin, end - begin);
}

std::pair<std::uint64_t, std::uint64_t> Codes::line(std::int64_t file) const {
  if (file >= header_->files) refuse("is damaged in its files");
  const auto i = static_cast<std::size_t>(file);
  return {line_begin_[i], line_begin_[i + 1]};
}

void Codes::refuse(std::string_view what) const { throw DamagedPart(path_.string(), what); }

}  // namespace vicha
