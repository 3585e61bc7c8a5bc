#include "demo/demo_manifests.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "base/error.h"
#include "demo/words.h"

namespace vicha::demo {
namespace {

using nlohmann::ordered_json;

constexpr int kEmojiSide = 96, kEmojiBottleneck = 64;
constexpr int kStampSide = 192, kStampBottleneck = 160;

std::string joined(const std::vector<std::string>& parts, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < std::min(count, parts.size()); ++i) text += (i > 0 ? " " : "") + parts[i];
  return text;
}

std::string hyphens_for_slashes(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

/// Collects records split by split.
class Arranger {
 public:
  explicit Arranger(DemoKwords kwords) : kwords_(kwords) {}

  void add(const EmojiConcept& emoji) {
    for (const ArtistDrawing& by : emoji.drawings) {
      const bool unseen_artist = by.artist == kHeldOutArtist;
      // Training artists' drawings of held-out concepts are in no manifest: they would show what must stay unseen.
      if (emoji.split == ConceptSplit::kHeldOut && !unseen_artist) continue;
      const std::string name = "emoji/" + by.artist + "/" + emoji.id + ".png";
      images_.push_back({name, by.drawing, kEmojiSide, kEmojiBottleneck});
      ordered_json record = start_record(name, emoji.captions);
      record["tags"] = emoji.tags;
      record["label"] = emoji.label;
      finish_record(record, by.artist, emoji.tags);
      if (!unseen_artist) {
        add_pairs(record, emoji);
      } else {
        (emoji.split == ConceptSplit::kHeldOut ? test_concept_
         : emoji.split == ConceptSplit::kVal   ? val_
                                               : test_)
            .push_back(std::move(record));
      }
    }
    ++concepts_[static_cast<std::size_t>(emoji.split)];
    two_captions_ += emoji.captions.size() > 1;
  }

  void add(const Stamp& stamp) {
    const std::string name = "stamps/" + hyphens_for_slashes(stamp.name) + ".png";
    images_.push_back({name, stamp.drawing, kStampSide, kStampBottleneck});
    const bool training = stamp.split == StampSplit::kTrain;
    ordered_json record =
        training ? start_record(name, stamp.caption) : start_record(name, std::vector<std::string>{stamp.caption});
    record["tags"] = stamp.tags;
    record["photo"] = stamp.photo;
    finish_record(record, "tuxpaint", stamp.tags);
    if (training) count_tags(stamp.tags);
    stamps_[static_cast<std::size_t>(stamp.split)].push_back(std::move(record));
    photos_ += stamp.photo;
  }

  DemoSet finish() && {
    DemoSet set;
    set.report.training_images = training_images_;
    set.report.training_concepts = concepts_[0] + concepts_[1];
    set.report.held_out_concepts = concepts_[2];
    for (const auto& [tag, images] : tag_images_) {
      if (images >= kVocabularyImages) set.vocabulary.push_back(tag);
    }
    set.report.vocabulary = static_cast<std::int64_t>(set.vocabulary.size());
    Records pretrain = train_;
    auto& photo_train = stamps_[static_cast<std::size_t>(StampSplit::kTrain)];
    pretrain.insert(pretrain.end(), photo_train.begin(), photo_train.end());
    const std::int64_t known_labels = count_known_labels();
    const std::int64_t stamps = static_cast<std::int64_t>(stamps_[0].size() + stamps_[1].size() + stamps_[2].size());

    put(set, "train.json", std::move(train_));
    put(set, "val.json", std::move(val_));
    put(set, "test.json", std::move(test_));
    put(set, "test_concept.json", std::move(test_concept_));
    set.stats["emoji_concepts"] = {{"seen", concepts_[0]}, {"val", concepts_[1]}, {"heldout", concepts_[2]}};
    set.stats["two_captions"] = two_captions_;
    set.stats["test_concept_all_label_words_seen"] = known_labels;
    put(set, "photo_train.json", std::move(photo_train));
    put(set, "photo_val.json", std::move(stamps_[static_cast<std::size_t>(StampSplit::kVal)]));
    put(set, "photo_test.json", std::move(stamps_[static_cast<std::size_t>(StampSplit::kTest)]));
    set.stats["stamps"] = {{"all", stamps}, {"photographic", photos_}};
    put(set, "pretrain.json", std::move(pretrain));
    set.stats["vocab"] = set.report.vocabulary;
    set.stats["pictures"] = images_.size();
    set.images = std::move(images_);
    return set;
  }

 private:
  /// A tag is a concept of the vocabulary if it is known from this many training images.
  static constexpr int kVocabularyImages = 4;
  static constexpr std::size_t kOracleConcepts = 15;

  static ordered_json start_record(const std::string& name, const ordered_json& caption) {
    ordered_json record;
    record["image"] = "images/" + name;
    record["image_id"] = name;
    record["caption"] = caption;
    return record;
  }

  void finish_record(ordered_json& record, const std::string& source, const std::vector<std::string>& tags) const {
    record["source"] = source;
    auto concepts = ordered_json::array();
    if (kwords_ == DemoKwords::kOracle) {
      for (std::size_t i = 0; i < std::min(kOracleConcepts, tags.size()); ++i) concepts.push_back(tags[i]);
    }
    record["kwords"] = std::move(concepts);
  }

  /// One record for each caption of a training image; an image with three tags or more has a third, made of them.
  void add_pairs(ordered_json& record, const EmojiConcept& emoji) {
    constexpr std::size_t kLeastTags = 3, kMostTags = 8;
    std::vector<std::string> captions = emoji.captions;
    if (emoji.tags.size() >= kLeastTags) captions.push_back(joined(emoji.tags, kMostTags));
    for (const std::string& caption : captions) {
      for (const std::string& word : words(caption)) training_words_.insert(word);
      record["caption"] = caption;
      train_.push_back(record);
    }
    ++training_images_;
    count_tags(emoji.tags);
  }

  void count_tags(const std::vector<std::string>& tags) {
    for (const std::string& tag : std::set<std::string>(tags.begin(), tags.end())) ++tag_images_[tag];
  }

  /// Held-out concepts whose label uses only words that training captions use.
  std::int64_t count_known_labels() const {
    return std::count_if(test_concept_.begin(), test_concept_.end(), [&](const ordered_json& record) {
      const std::vector<std::string> label = words(record.at("label").get_ref<const std::string&>());
      return std::all_of(label.begin(), label.end(), [&](const auto& word) { return training_words_.contains(word); });
    });
  }

  static void put(DemoSet& set, const std::string& name, Records records) {
    const auto count = static_cast<std::int64_t>(records.size());
    set.stats[name] = count;
    set.report.records.emplace_back(name, count);
    set.manifests.emplace_back(name, std::move(records));
  }

  DemoKwords kwords_;
  Records train_, val_, test_, test_concept_;
  std::array<Records, 3> stamps_;           // by StampSplit
  std::array<std::int64_t, 3> concepts_{};  // by ConceptSplit
  std::int64_t two_captions_ = 0, photos_ = 0, training_images_ = 0;
  std::set<std::string> training_words_;
  std::map<std::string, int> tag_images_;  // tag → training images that have it
  std::vector<ImageTask> images_;
};

}  // namespace

DemoSet arrange(const std::vector<EmojiConcept>& concepts, const std::vector<Stamp>& stamps, DemoKwords kwords) {
  Arranger arranger(kwords);
  for (const EmojiConcept& emoji : concepts) arranger.add(emoji);
  for (const Stamp& stamp : stamps) arranger.add(stamp);
  return std::move(arranger).finish();
}

std::string manifest_text(const Records& records) {
  std::string text = "[";
  for (std::size_t i = 0; i < records.size(); ++i) text += (i > 0 ? ",\n" : "\n") + records[i].dump();
  return text + "\n]\n";
}

}  // namespace vicha::demo
