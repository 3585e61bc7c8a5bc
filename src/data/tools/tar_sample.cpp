#include "data/tools/tar_sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "data/tools/tar_json.h"
#include "data/tools/tar_reader.h"
#include "text/utf8.h"

namespace vicha {
namespace {

using Member = TarSpool::Member;
using Kind = TarSpool::Kind;

constexpr std::size_t kMembersNamed = 12;

/// Of images whose format is not read: a sample that has one has lost it.
constexpr std::array<std::string_view, 12> kForeignImages = {"jxl", "jp2", "j2k", "svg", "psd", "exr",
                                                             "hdr", "tga", "ico", "cr2", "dng", "nef"};

bool one_of(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view last_extension(std::string_view part) {
  const std::size_t dot = part.rfind('.');
  return dot == std::string_view::npos ? part : part.substr(dot + 1);
}

bool is_json_part(std::string_view part) { return last_extension(part) == "json"; }

bool is_foreign_image(std::string_view part) {
  return std::find(kForeignImages.begin(), kForeignImages.end(), last_extension(part)) != kForeignImages.end();
}

std::string trimmed(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // the byte order mark
  const auto blank = [](char c) { return c == '\n' || c == '\r' || c == ' ' || c == '\t' || c == '\0'; };
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  return std::string(text);
}

class Reading {
 public:
  Reading(const TarSpool::Sample& sample, const SampleOptions& options, const MemberContent& content,
          TarInventory& inventory)
      : sample_(sample), options_(options), content_(content), inventory_(inventory) {
    std::set<std::string_view> seen;
    for (const Member& member : sample.members) {
      (seen.insert(member.part).second ? first_ : again_).push_back(&member);
    }
  }

  ReadSample run() {
    note_repeated();
    if (!is_sample()) return std::move(read_);
    if (!is_utf8(sample_.key)) {
      lose(LostCause::kNameEncoding, "the name is not UTF-8");
      return std::move(read_);
    }
    find_image();
    find_caption();
    if (read_.lost) {
      read_.image = nullptr;
      for (const Member* member : first_) {
        if (is_json_part(member->part)) json_of(member->part);  // the inventory shall know its fields
      }
      look_for_dots();
    } else {
      keep_fields();
      note_left_out();
    }
    return std::move(read_);
  }

 private:
  bool is_sample() const {
    return std::any_of(first_.begin(), first_.end(), [this](const Member* member) {
      return member->kind != Kind::kOther || is_text_part(member->part, options_) || is_foreign_image(member->part);
    });
  }

  LostSample lost(LostCause cause, std::string detail) const {
    LostSample lost{cause, sample_.key, std::move(detail)};
    for (const Member* member : first_) {
      if (lost.members.size() < kMembersNamed) lost.members.push_back(member->part);
    }
    return lost;
  }
  /// The first reason is the one that is told.
  void lose(LostCause cause, std::string detail) {
    if (!read_.lost) read_.lost = lost(cause, std::move(detail));
  }

  void note_repeated() {
    if (again_.empty() && sample_.more == 0) return;
    std::string names;
    for (std::size_t i = 0; i < std::min(again_.size(), kMembersNamed); ++i) {
      names += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", again_[i]->part);
    }
    const std::uint64_t count = again_.size() + sample_.more;
    read_.lost_parts.push_back(
        lost(LostCause::kDuplicateKey, fmt::format("{} of this key came again ({}{}); the first of each was taken",
                                                   count == 1 ? "a member" : fmt::format("{} members", count), names,
                                                   count > kMembersNamed ? ", …" : "")));
  }

  /// Of a sample that is taken, what is not: who reads the list may want the other picture, or the whole caption.
  void note_left_out() {
    if (!other_pictures_.empty()) {
      std::string names;
      for (const Member* member : other_pictures_) {
        names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", member->part);
      }
      read_.lost_parts.push_back(
          lost(LostCause::kSeveralPictures,
               fmt::format("picture \"{}\" was taken, {} left out: --image-member chooses", read_.image->part, names)));
    }
    if (!no_texts_.empty()) read_.lost_parts.push_back(lost(LostCause::kNoText, no_texts_));
  }

  /// Loses the sample for a member that is refused.
  void lose_for(const Member& member) {
    lose(member.refused, fmt::format("member \"{}\": {}", member.part, content_(member)));
  }

  void find_image() {
    std::vector<const Member*> plain, dotted;
    const Member* refused = nullptr;
    for (const Member* member : first_) {
      if (!is_image_part(member->part, options_)) continue;
      if (member->kind == Kind::kRefused) {
        if (refused == nullptr) refused = member;
      } else {
        (member->part.find('.') == std::string::npos ? plain : dotted).push_back(member);
      }
    }
    if (!options_.image_members.empty()) {
      for (const std::string& name : options_.image_members) {
        for (const Member* member : first_) {
          if (read_.image == nullptr && member->part == name && member->kind == Kind::kImage) read_.image = member;
        }
      }
    } else if (!plain.empty()) {
      read_.image = plain.front();
      if (plain.size() > 1) other_pictures_ = {plain.begin() + 1, plain.end()};
    } else if (dotted.size() == 1) {
      read_.image = dotted.front();
    }
    if (read_.image != nullptr) return;
    if (refused != nullptr) return lose_for(*refused);
    if (!dotted.empty()) {
      return lose(LostCause::kSeveralPictures, "name the member that is the picture by --image-member");
    }
    for (const Member* member : first_) {
      if (member->kind == Kind::kRefused) return lose_for(*member);
    }
    if (!options_.image_members.empty()) {
      return lose(LostCause::kNoPicture, "no member is there of those that were named");
    }
    const auto stranger = std::find_if(first_.begin(), first_.end(), [this](const Member* member) {
      return member->kind == Kind::kOther && !is_text_part(member->part, options_);
    });
    if (stranger == first_.end()) return lose(LostCause::kNoPicture, "no member is a picture");
    if (is_foreign_image((*stranger)->part)) {
      return lose(LostCause::kUnknownExtension, fmt::format("pictures in \"{}\" are not read", (*stranger)->part));
    }
    if ((*stranger)->part.empty()) return lose(LostCause::kUnknownExtension, "the member has no extension");
    lose(LostCause::kUnknownExtension,
         fmt::format("\"{}\" is not an extension of a picture; if it is one all the same, name it by --image-member",
                     (*stranger)->part));
  }

  /// The JSON of the member of this name; null if there is none.
  const SampleJson* json_of(std::string_view part) {
    if (const auto known = jsons_.find(part); known != jsons_.end()) return &known->second;
    for (const Member* member : first_) {
      if (member->part != part || member->kind != Kind::kText) continue;
      const SampleJson& json = jsons_.emplace(std::string(part), content_(*member)).first->second;
      json.list_fields(inventory_);
      return &json;
    }
    return nullptr;
  }

  /// Why there is no caption: the first reason that is more than "there is none".
  void fault(LostCause cause, std::string detail) {
    if (!caption_fault_) caption_fault_ = lost(cause, std::move(detail));
  }

  bool take_texts(const std::vector<std::string>& texts, std::string_view where) {
    bool bad = false;
    for (const std::string& text : texts) {
      std::string caption = trimmed(text);
      if (!is_utf8(caption)) {
        bad = true;
      } else if (!caption.empty()) {
        read_.captions.push_back(std::move(caption));
      }
    }
    if (!read_.captions.empty()) return true;
    if (bad) {
      fault(LostCause::kEncoding, fmt::format("{} is not UTF-8", where));
    } else if (!texts.empty()) {
      fault(LostCause::kEmptyCaption, fmt::format("{} is empty", where));
    }
    return false;
  }

  bool caption_from_member(const std::string& part) {
    for (const Member* member : first_) {
      if (member->part != part) continue;
      if (member->kind == Kind::kText) return take_texts({content_(*member)}, fmt::format("member \"{}\"", part));
      if (member->kind == Kind::kRefused)
        fault(member->refused, fmt::format("member \"{}\": {}", part, content_(*member)));
    }
    return false;
  }

  bool caption_from_json(const std::string& part, const std::vector<std::string>& fields) {
    const SampleJson* json = json_of(part);
    if (json == nullptr) {
      for (const Member* member : first_) {
        if (member->part == part && member->kind == Kind::kRefused) {
          fault(member->refused, fmt::format("member \"{}\": {}", part, content_(*member)));
        }
      }
      return false;
    }
    if (!json->fault().empty()) {
      fault(json->cause(), fmt::format("member \"{}\": {}", part, json->fault()));
      return false;
    }
    for (const std::string& field : fields) {
      const SampleJson::Texts texts = json->texts(field);
      const std::string where = fmt::format("field \"{}\" of member \"{}\"", field, part);
      read_.list = texts.list;
      if (take_texts(texts.found, where)) {
        if (texts.no_text || texts.nan) {
          no_texts_ = fmt::format("{} holds entries that are not texts; the others were taken", where);
        }
        return true;
      }
      if (texts.nan) fault(LostCause::kNan, where + " is NaN or Infinity, which is not text");
      if (texts.no_text) fault(LostCause::kNoText, where + " holds no text");
    }
    read_.list = false;
    return false;
  }

  void find_caption() {
    const bool chosen = !options_.caption_members.empty() || !options_.caption_fields.empty();
    const std::vector<std::string> fields =
        options_.caption_fields.empty() ? std::vector<std::string>{"caption"} : options_.caption_fields;
    bool json_named = false;
    for (const std::string& part : chosen ? options_.caption_members : std::vector<std::string>{"txt"}) {
      json_named = json_named || is_json_part(part);
      if (!is_json_part(part)) {
        if (caption_from_member(part)) return;
      } else {
        if (caption_from_json(part, fields)) return;
        if (options_.caption_fields.empty() && caption_from_json(part, {""})) return;  // a list of captions alone
      }
    }
    if (!json_named && (!chosen || !options_.caption_fields.empty()) && caption_from_json("json", fields)) return;
    if (caption_fault_) return lose(caption_fault_->cause, caption_fault_->detail);
    lose(LostCause::kNoCaption, chosen ? "neither a member nor a field that was named holds one"
                                       : "neither a member \"txt\" nor a field \"caption\" of the JSON holds one");
  }

  void keep_fields() {
    for (const Member* member : first_) {
      if (member->kind != Kind::kRefused) continue;
      read_.note = fmt::format("{}.{}: {}; the sample does without", sample_.key, member->part, content_(*member));
    }
    if (options_.fields.empty()) return;
    const SampleJson* json = json_of("json");
    if (json == nullptr) return;
    if (!json->fault().empty()) {
      read_.note = fmt::format("{}.json: {}; its fields are left out", sample_.key, json->fault());
      return;
    }
    for (const std::string& field : options_.fields) {
      const nlohmann::json* value = json->field(field);
      if (value == nullptr) continue;
      if (SampleJson::holds_nan(*value)) {
        read_.note = fmt::format("{}.json: field \"{}\" holds NaN or Infinity and is left out", sample_.key, field);
      } else if (json->is_cut(field)) {
        read_.note = fmt::format("{}.json: field \"{}\" is nested more than {} levels deep and is left out",
                                 sample_.key, field, SampleJson::kMostLevels);
      } else {
        read_.kept.emplace_back(field, *value);
      }
    }
  }

  /// "a.b.jpg" and "a.b.txt", cut at the first dot, are parts "b.jpg" and "b.txt": what they share was meant as key.
  void look_for_dots() {
    std::set<std::string> images, texts;
    for (const Member* member : first_) {
      const std::size_t dot = member->part.rfind('.');
      if (dot == std::string::npos) continue;
      const std::string stem = member->part.substr(0, dot);
      (is_image_part(member->part, SampleOptions{}) ? images : texts).insert(stem);
    }
    for (const std::string& stem : images) {
      if (!texts.contains(stem)) continue;
      read_.lost =
          lost(LostCause::kDotsInKey,
               fmt::format("keys end at the first dot; --key-end last-dot makes it \"{}.{}\"", sample_.key, stem));
      return;
    }
  }

  const TarSpool::Sample& sample_;
  const SampleOptions& options_;
  const MemberContent& content_;
  TarInventory& inventory_;
  std::vector<const Member*> first_, again_;  // members, the first of each name and those that came again
  std::map<std::string, SampleJson, std::less<>> jsons_;
  std::vector<const Member*> other_pictures_;  // of plain names, beside the one that was taken
  std::string no_texts_;                       // on the list of captions that was taken
  std::optional<LostSample> caption_fault_;
  ReadSample read_;
};

}  // namespace

bool is_text_part(std::string_view part, const SampleOptions& options) {
  return part == "txt" || part == "json" || one_of(options.caption_members, part);
}

bool is_image_part(std::string_view part, const SampleOptions& options) {
  return options.image_members.empty() ? is_image_part(part) : one_of(options.image_members, part);
}

ReadSample read_sample(const TarSpool::Sample& sample, const SampleOptions& options, const MemberContent& content,
                       TarInventory& inventory) {
  return Reading(sample, options, content, inventory).run();
}

}  // namespace vicha
