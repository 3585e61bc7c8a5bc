#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <deque>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/input_lines.h"
#include "cli/options.h"
#include "tasks/host/model_files.h"
#include "tasks/host/picture_feed.h"

namespace vicha::cli {
namespace {

struct PredictArguments {
  PredictCommand command;
  std::string input, tower, text, explain;
  std::vector<std::string> images;

  bool asks_by_options() const { return !images.empty() || !text.empty(); }
};

/// The object of input that --image and --text stand for.
std::string object_of(const PredictArguments& given, const PredictFields& fields) {
  if (!given.input.empty()) {
    throw UsageError("give the input by --image and --text, or as a JSON object, not both ways");
  }
  if (given.images.size() != fields.images.size()) {
    throw UsageError(fmt::format("--image: {} {} wanted, {} {} given", fields.images.size(),
                                 fields.images.size() == 1 ? "picture is" : "pictures are", given.images.size(),
                                 given.images.size() == 1 ? "is" : "are"));
  }
  if (!fields.text.empty() && given.text.empty()) throw UsageError("--text is missing: what is asked of the picture");
  nlohmann::ordered_json object;
  for (std::size_t i = 0; i < given.images.size(); ++i) {
    require_utf8(given.images[i], "--image");
    object[fields.images[i]] = given.images[i];
  }
  if (!given.text.empty()) {
    require_utf8(given.text, "--text");
    object[fields.text] = given.text;
  }
  return object.dump();
}

struct GivenLine {
  std::int64_t number = 0;
  std::string text, refusal;  ///< why it cannot be read, where it cannot
};

std::optional<GivenLine> next_line(InputLines& input) {
  GivenLine line;
  try {
    if (!input.next(line.text)) return std::nullopt;
  } catch (const Error& error) {
    line.refusal = error.what();
  }
  line.number = input.number();
  return line;
}

using FileIdentity = std::pair<dev_t, ino_t>;

std::optional<FileIdentity> identity_of(const std::string& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return std::nullopt;
  return FileIdentity{info.st_dev, info.st_ino};
}

/// Files that the lines name as their pictures.
std::set<FileIdentity> pictures_of_lines(const std::deque<GivenLine>& lines, const PredictFields& fields) {
  std::set<FileIdentity> pictures;
  for (const GivenLine& line : lines) {
    const auto object = nlohmann::json::parse(line.text, nullptr, false);
    if (!object.is_object()) continue;
    for (const std::string& field : fields.images) {
      const auto name = object.find(field);
      if (name == object.end() || !name->is_string()) continue;
      if (const auto picture = identity_of(name->get<std::string>())) pictures.insert(*picture);
    }
  }
  return pictures;
}

/// Throws UsageError where the file is a picture that a line asks about, perhaps one that is still to come.
void require_no_picture(const fs::path& file, const std::set<FileIdentity>& pictures) {
  const std::optional<FileIdentity> there = identity_of(file.string());
  if (!there || !pictures.contains(*there)) return;
  throw UsageError(
      fmt::format("{}: is a picture that the input asks about, and the explanation would be written over "
                  "it. Give --explain another folder",
                  file.string()));
}

/// One answer a line, in order; a line that is wrong gives {"line", "error"} in its place, and the status of the first.
int answer_lines(const Predictor& predict, const PredictFields& fields, const fs::path& explain) {
  InputLines input(std::cin);
  // Explanations are files, so their names must be known to be free of all the input before the first is written.
  std::deque<GivenLine> ahead;
  std::set<FileIdentity> pictures;
  if (!explain.empty()) {
    fs::create_directories(explain);
    while (auto line = next_line(input)) ahead.push_back(std::move(*line));
    pictures = pictures_of_lines(ahead, fields);
  }
  int status = 0;
  const auto refuse = [&](std::int64_t number, const std::string& reason) {
    print_json(json_text(nlohmann::ordered_json{{"line", number}, {"error", reason}}) + "\n");
    log::error("line {}: {}", number, reason);
    if (status == 0) status = static_cast<int>(ExitCode::kData);
  };
  const auto next = [&]() -> std::optional<GivenLine> {
    if (explain.empty()) return next_line(input);
    if (ahead.empty()) return std::nullopt;
    GivenLine line = std::move(ahead.front());
    ahead.pop_front();
    return line;
  };
  while (const auto line = next()) {
    if (!line->refusal.empty()) {
      refuse(line->number, line->refusal);
      continue;
    }
    if (line->text.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      const fs::path picture = explain.empty() ? fs::path() : explain / fmt::format("{:06}.png", line->number);
      if (!picture.empty()) require_no_picture(picture, pictures);
      print_json(predict({line->text, picture}) + "\n");
    } catch (const Error& error) {
      refuse(line->number, error.what());
    }
  }
  return status;
}

std::string fields_help(const PredictFields& fields) {
  std::string form;
  for (const std::string& image : fields.images) form += fmt::format("{}\"{}\": FILE", form.empty() ? "" : ", ", image);
  if (!fields.text.empty()) form += fmt::format("{}\"{}\": TEXT", form.empty() ? "" : ", ", fields.text);
  return form.empty() ? "A JSON object" : "A JSON object {" + form + "}";
}

void add_prediction(CLI::App& predict, const TaskKind& kind, Action& chosen) {
  const auto given = std::make_shared<PredictArguments>();
  const PredictFields& fields = kind.predict_fields;
  CLI::App* command = predict.add_subcommand(kind.key, kind.about);
  command
      ->add_option("CHECKPOINT", given->command.checkpoint,
                   "Checkpoint folder, or a run's folder: its best checkpoint where it judged them, else the last")
      ->required();
  command->add_option("INPUT", given->input,
                      fields_help(fields) + "; without it, one a line from standard input, and one answer a line");
  if (!fields.images.empty()) {
    add_repeated(*command, "--image", given->images,
                 fields.images.size() == 1
                     ? std::string("The picture, instead of INPUT")
                     : fmt::format("One of the {} pictures, in order, instead of INPUT", fields.images.size()));
  }
  if (!fields.text.empty())
    command->add_option("--text", given->text, fmt::format("The {}, instead of INPUT", fields.text));
  if (fields.explains) {
    command->add_option("--explain", given->explain,
                        "PNG of what the answer looks at, word by word; with several lines of input a folder, in which "
                        "each line's PNG has its number");
  }
  add_finder_options(*command, given->command.concepts);
  add_tower(*command, given->tower);
  add_device(*command, given->command.device);
  command->callback([given, &kind, &chosen] {
    chosen = [given, &kind] {
      const bool single = given->asks_by_options() || !given->input.empty();
      const std::string input = given->asks_by_options() ? object_of(*given, kind.predict_fields) : given->input;
      if (single && fs::is_directory(given->explain)) {
        throw UsageError(fmt::format("--explain {}: is a folder; name the PNG of the one answer", given->explain));
      }
      guard_checkpoint(given->command.checkpoint);
      std::optional<GuardedOutput> explain;  // before the work, so that it is not in vain
      if (single && !given->explain.empty()) explain.emplace(given->explain);
      LoadedModel loaded = load_trained(given->command.checkpoint, given->command.device, &kind);
      if (!given->tower.empty()) set_tower(loaded, given->tower);
      const Predictor predict = kind.predict(loaded, given->command);
      if (!single) return answer_lines(predict, kind.predict_fields, given->explain);
      print_json(predict({input, given->explain}) + "\n");
      return 0;
    };
  });
}

}  // namespace

void add_predict(CLI::App& app, Action& chosen) {
  CLI::App* predict = nullptr;
  for (const TaskKind& kind : task_kinds()) {
    if (!kind.predict) continue;
    if (predict == nullptr) {
      predict = app.add_subcommand("predict", "Answers of a trained model on raw input")->require_subcommand(1);
    }
    add_prediction(*predict, kind, chosen);
  }
}

}  // namespace vicha::cli
