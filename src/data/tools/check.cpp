#include "data/tools/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <thread>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/threads.h"
#include "data/manifest/column.h"
#include "data/manifest/image_names.h"
#include "data/manifest/picture_lists.h"
#include "data/tools/check_findings.h"
#include "data/tools/check_image.h"
#include "image/decode.h"
#include "text/cleaning/caption.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 80;
  if (text.size() <= kShown) return fmt::format("\"{}\"", text);
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside of a character
  return fmt::format("\"{}...\"", text.substr(0, end));
}

/// Where nobody says what records hold: second pictures, which their first record has. About several pictures there
/// need not be captions.
ManifestOptions with_further_pictures(const std::vector<fs::path>& files, ManifestOptions options) {
  if (!options.schema.columns.empty()) return options;
  options.schema.columns = columns_of_further_pictures(files);
  if (!options.schema.columns.empty()) options.schema.caption = false;
  return options;
}

class Checker {
 public:
  Checker(const std::vector<fs::path>& files, const CheckOptions& options) : options_(options) {
    for (const fs::path& file : files) report_.manifests.push_back(file.string());
    manifest_ =
        Manifest::load(files, with_further_pictures(files, options.manifest), [this](const ManifestProblem& problem) {
          found(kFields, [&] {
            return fmt::format("{}: {}{}{}", problem.where, problem.what, problem.remedy.empty() ? "" : ". ",
                               problem.remedy);
          });
        });
    report_.records = manifest_.size();
    report_.captions = manifest_.caption_count();
    report_.images = manifest_.image_count();
    report_.image_ids = manifest_.image_id_count();
  }

  CheckReport run() {
    first_record_.assign(static_cast<std::size_t>(manifest_.image_count()), -1);
    for (std::int64_t record = manifest_.size() - 1; record >= 0; --record) {
      for (const std::int64_t image : manifest_.image_numbers(record)) {
        first_record_[static_cast<std::size_t>(image)] = record;
      }
    }
    check_captions();
    check_repeated_rows();
    check_ids();
    findings_[kNoConcepts].looked = options_.manifest.schema.concepts;
    for (const Kind kind : {kMissing, kCorrupt, kTruncated, kChecksum, kUnknownFormat, kEqualFiles, kTurned}) {
      findings_[kind].looked = options_.decode_images;
    }
    if (options_.decode_images) {
      check_images();
      check_equal_files();
    }
    for (std::size_t kind = 0; kind < kKinds; ++kind) report_.findings.push_back(std::move(findings_[kind]));
    return std::move(report_);
  }

 private:
  template <class Text>
  void found(Kind kind, Text&& text) {
    Finding& finding = findings_[kind];
    if (finding.count++ < options_.examples) finding.examples.push_back(text());
  }

  std::int64_t& first_record_of(std::int64_t record) {
    return first_record_[static_cast<std::size_t>(manifest_.image_number(record))];
  }
  std::string_view path_of(std::size_t image) const { return manifest_.image_file(static_cast<std::int64_t>(image)); }

  /// The captions, or the text that the schema names.
  std::vector<std::string_view> texts_of(std::int64_t record) const {
    const std::string& field = manifest_.schema().text.field;
    if (field.empty()) return manifest_.captions(record);
    return {manifest_.column<TextColumn>(field)[record]};
  }

  void check_captions() {
    for (std::int64_t record = 0; record < manifest_.size(); ++record) {
      for (const std::string_view caption : texts_of(record)) {
        const std::string cleaned = clean_caption(caption, static_cast<std::size_t>(-1));
        const auto words = cleaned.empty() ? 0 : 1 + std::count(cleaned.begin(), cleaned.end(), ' ');
        std::int64_t tokens = 0;
        if (options_.tokenizer) tokens = static_cast<std::int64_t>(options_.tokenizer->encode(cleaned).size());
        report_.longest_words = std::max<std::int64_t>(report_.longest_words, words);
        report_.longest_tokens = std::max(report_.longest_tokens, tokens);
        const auto example = [&](std::string_view what) {
          return fmt::format("{}: {} {}", manifest_.where(record), what, quoted(caption));
        };
        if (!has_words(cleaned)) found(kEmptyCaptions, [&] { return example("nothing is left of"); });
        const TextRule& rule = manifest_.schema().text;
        if (words > (rule.max_words > 0 ? rule.max_words : options_.max_words)) {
          found(kLongCaptions, [&] { return example(fmt::format("{} words in", words)); });
        } else if (tokens > (rule.max_tokens > 0 ? rule.max_tokens : options_.max_tokens)) {
          found(kLongCaptions, [&] { return example(fmt::format("{} tokens in", tokens)); });
        }
      }
      if (!options_.manifest.schema.concepts) continue;
      if (manifest_.concepts(record).empty()) {
        found(kNoConcepts, [&] { return fmt::format("{}: \"kwords\" is empty", manifest_.where(record)); });
      }
      for (std::size_t i = 0; i + 1 < manifest_.image_numbers(record).size(); ++i) {
        if (!manifest_.further_concepts(record, i).empty()) continue;
        found(kNoConcepts, [&] {
          return fmt::format("{}: the concepts of picture {} are an empty list", manifest_.where(record), i + 2);
        });
      }
    }
  }

  /// Sorted hashes bring equal (image, caption) pairs together; the texts are compared before anything is said.
  void check_repeated_rows() {
    struct Row {
      std::uint64_t hash;
      std::uint32_t record, which;
    };
    std::vector<Row> rows;
    rows.reserve(static_cast<std::size_t>(manifest_.caption_count()));
    for (std::int64_t record = 0; record < manifest_.size(); ++record) {
      std::uint32_t which = 0;
      for (const std::string_view caption : manifest_.captions(record)) {
        const std::uint64_t hash = std::hash<std::string_view>{}(caption)*31 +
                                   static_cast<std::uint64_t>(manifest_.image_number(record)) * 0x9e3779b97f4a7c15ULL;
        rows.push_back({hash, static_cast<std::uint32_t>(record), which++});
      }
    }
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
      return std::tie(a.hash, a.record, a.which) < std::tie(b.hash, b.record, b.which);
    });
    std::vector<std::pair<std::uint32_t, std::uint32_t>> repeated;  // record, record it repeats
    for (std::size_t i = 1, first = 0; i < rows.size(); ++i) {
      if (rows[i].hash != rows[first].hash) first = i;
      if (i != first && manifest_.image_number(rows[i].record) == manifest_.image_number(rows[first].record) &&
          manifest_.caption(rows[i].record, rows[i].which) ==
              manifest_.caption(rows[first].record, rows[first].which)) {
        repeated.emplace_back(rows[i].record, rows[first].record);
      }
    }
    std::sort(repeated.begin(), repeated.end());
    for (const auto& [record, earlier] : repeated) {
      found(kRepeatedRows, [&, record = record, earlier = earlier] {
        return fmt::format("{} says the same of {} as {}", manifest_.where(record), manifest_.image_path(record),
                           manifest_.where(earlier));
      });
    }
  }

  /// Files with several ids, then ids of several files.
  void check_ids() {
    std::vector<std::int64_t> first_of_file(static_cast<std::size_t>(manifest_.image_count()), -1);
    for (std::int64_t record = 0; record < manifest_.size(); ++record) {
      std::int64_t& first = first_of_file[static_cast<std::size_t>(manifest_.image_number(record))];
      if (first < 0) first = record;
      // Ids of different manifests are different ones.
      if (manifest_.file(first) != manifest_.file(record)) continue;
      if (manifest_.image_id(first) == manifest_.image_id(record)) continue;
      found(kSeveralIds, [&] {
        return fmt::format("{} gives {} another \"image_id\" than {}", manifest_.where(record),
                           manifest_.image_path(record), manifest_.where(first));
      });
    }
    check_files_of_ids();
  }

  void check_files_of_ids() {
    std::vector<std::int64_t> first_of_id(static_cast<std::size_t>(manifest_.image_id_count()), -1);
    for (std::int64_t record = 0; record < manifest_.size(); ++record) {
      std::int64_t& first = first_of_id[static_cast<std::size_t>(manifest_.image_id(record))];
      if (first < 0) first = record;
      if (manifest_.image_number(first) != manifest_.image_number(record)) {
        found(kSharedIds, [&] {
          return fmt::format("{} gives {} the \"image_id\" that {} gives {}", manifest_.where(record),
                             manifest_.image_path(record), manifest_.where(first), manifest_.image_path(first));
        });
      }
    }
  }

  void check_images() {
    images_.resize(first_record_.size());
    const int threads = options_.threads > 0 ? static_cast<int>(options_.threads)
                                             : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    std::atomic<std::int64_t> done = 0, bytes = 0;
    std::atomic<int> smallest = std::numeric_limits<int>::max(), largest = 0;
    for_each_index(images_.size(), threads, [&](std::size_t image) {
      const ImageCheck check = check_image(path_of(image));
      images_[image] = {check.digest, check.state, static_cast<std::uint8_t>(check.orientation)};
      bytes += check.bytes;
      if (check.width > 0) {
        lower(smallest, std::min(check.width, check.height));
        raise(largest, std::max(check.width, check.height));
      }
      if (options_.progress) options_.progress(++done, static_cast<std::int64_t>(images_.size()));
    });
    report_.image_bytes = bytes;
    report_.largest_side = largest;
    report_.smallest_side = largest > 0 ? smallest.load() : 0;
    for (std::size_t image = 0; image < images_.size(); ++image) {
      if (images_[image].state != ImageFileState::kGood)
        found(kind_of(images_[image].state), [&] { return reason(image); });
      if (images_[image].orientation > 1) {
        found(kTurned, [&] {
          return fmt::format("{}: {} has EXIF orientation {}, which is followed only with data.orientation = \"exif\"",
                             manifest_.where(first_record_[image]), path_of(image), images_[image].orientation);
        });
      }
    }
  }

  static void lower(std::atomic<int>& least, int value) {
    for (int now = least; value < now && !least.compare_exchange_weak(now, value);) {
    }
  }
  static void raise(std::atomic<int>& most, int value) {
    for (int now = most; value > now && !most.compare_exchange_weak(now, value);) {
    }
  }

  static Kind kind_of(ImageFileState state) {
    switch (state) {
      case ImageFileState::kMissing:
        return kMissing;
      case ImageFileState::kUnknownFormat:
        return kUnknownFormat;
      case ImageFileState::kTruncated:
        return kTruncated;
      case ImageFileState::kWrongChecksum:
        return kChecksum;
      default:
        return kCorrupt;
    }
  }

  /// Reads the image once more: keeping the messages of all bad ones would not be bounded.
  std::string reason(std::size_t image) const {
    const std::string record = manifest_.where(first_record_[image]);
    if (images_[image].state == ImageFileState::kMissing) {
      const std::string hint = missing_file_hint(path_of(image));
      return fmt::format("{}: {} does not exist{}{}", record, path_of(image), hint.empty() ? "" : ". ", hint);
    }
    try {
      load_rgb(path_of(image));
    } catch (const DataError& error) {
      return fmt::format("{}: {}", record, error.what());
    }
    return fmt::format("{}: {} could not be read a moment ago", record, path_of(image));
  }

  void check_equal_files() {
    std::vector<std::uint32_t> order;
    for (std::size_t image = 0; image < images_.size(); ++image) {
      if (images_[image].state == ImageFileState::kGood) order.push_back(static_cast<std::uint32_t>(image));
    }
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::tie(images_[a].digest, a) < std::tie(images_[b].digest, b);
    });
    std::vector<std::pair<std::uint32_t, std::uint32_t>> equal;  // image, image it equals
    for (std::size_t i = 1, first = 0; i < order.size(); ++i) {
      if (images_[order[i]].digest != images_[order[first]].digest) {
        first = i;
      } else {
        equal.emplace_back(order[i], order[first]);
      }
    }
    std::sort(equal.begin(), equal.end());
    for (const auto& [image, earlier] : equal) {
      found(kEqualFiles, [&, image = image, earlier = earlier] {
        return fmt::format("{} is the same file as {}", path_of(image), path_of(earlier));
      });
    }
  }

  const CheckOptions& options_;
  Manifest manifest_;
  CheckReport report_;
  std::array<Finding, kKinds> findings_ = no_findings();
  std::vector<std::int64_t> first_record_;  // of each image
  struct Image {
    std::array<std::uint64_t, 2> digest{};
    ImageFileState state{};
    std::uint8_t orientation = 1;
  };
  std::vector<Image> images_;
};

}  // namespace

CheckReport check_manifests(const std::vector<fs::path>& files, const CheckOptions& options) {
  return Checker(files, options).run();
}

}  // namespace vicha
