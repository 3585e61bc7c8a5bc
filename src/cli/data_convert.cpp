#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/named_outputs.h"
#include "cli/data.h"
#include "cli/options.h"
#include "data/tools/convert.h"

namespace vicha::cli {
namespace {

namespace fs = std::filesystem;

char delimiter_named(const std::string& name) {
  if (name.empty()) return '\0';
  if (name == "tab" || name == "\\t") return '\t';
  if (name.size() == 1 && name[0] != '"' && name[0] > ' ') return name[0];
  if (name == "\t") return '\t';
  throw UsageError("--delimiter is one character, or the word tab");
}

}  // namespace

void add_data_convert(CLI::App& group, Action& chosen) {
  struct Given {
    fs::path in, out;
    std::string delimiter, form;
    ConvertOptions options;
    bool no_header = false, no_quotes = false;
  };
  const auto given = std::make_shared<Given>();
  ConvertOptions& options = given->options;
  CLI::App* command = group.add_subcommand(
      "convert",
      "Make a manifest of a data set as it is published: COCO, Karpathy's splits, Flickr30K, Visual Genome, SBU, VQA, "
      "NLVR2, SNLI-VE, RefCOCO; of CSV, TSV, or JSON with other names of fields");
  command->add_option("FROM", given->in, "File to read")->required();
  command->add_option("--out", given->out, "Manifest to write: a list, or lines (.jsonl)")->required();
  std::vector<std::string> forms;
  for (const auto& form : kSetFormNames) forms.emplace_back(form.name);
  command
      ->add_option("--form", given->form, fmt::format("What FROM is: {} (default: told by it)", fmt::join(forms, ", ")))
      ->check(CLI::IsMember(forms));
  command->add_option("--split", options.splits, "Splits to take, with commas between them (default: all)")
      ->delimiter(',');
  command->add_option("--split-field", options.split_field, "Field that names a record's split")->capture_default_str();
  command->add_option("--image", options.image, "Field or column of the picture's file (default: a usual name)");
  add_repeated(*command, "--caption", options.captions,
               "Field or column of the caption (default: a usual name); repeated: a list of captions");
  command->add_option("--id", options.id, "Field or column of image_id");
  command->add_option("--folder", options.folder, "Folder to put in front of each picture's name: val2014");
  command->add_option("--with", options.with,
                      "Second file of a set of two: VQA's annotations, RefCOCO's instances.json, Visual Genome's "
                      "image_data.json, SBU's captions");
  command->add_option(
      "--name", options.name,
      "Of pictures that have addresses alone: how their files are called, by {file} (the last part of "
      "the address), {row} (the record's number; {row:09} with zeros in front), {shard} (row / 10,000)");
  command->add_option("--boxes", options.boxes, "RefCOCO: boxes of a detector, dets.json");
  command->add_option(
      "--boxes-out", options.boxes_out,
      "Write these by the manifest's names of pictures to a file of their own (default: `boxes` of each "
      "record)");
  command->add_option("--delimiter", given->delimiter, "What stands between a table's columns: a character, or tab");
  command->add_flag("--no-header", given->no_header, "The table's first row is a record");
  command->add_flag("--no-quotes", given->no_quotes, "Quotation marks in a table are text");
  command->callback([given, &chosen] {
    chosen = [given] {
      ConvertOptions options = given->options;
      if (!given->form.empty()) options.form = *value_named(kSetFormNames, given->form);
      options.delimiter = delimiter_named(given->delimiter);
      options.header = !given->no_header;
      options.quotes = !given->no_quotes;
      const GuardedOutputs outputs(
          {{"--out", given->out},
           {"the list of what is left out, beside --out", fs::path(given->out).concat(".lost.jsonl")},
           {"--boxes-out", options.boxes_out}},
          {given->in, options.with, options.boxes});
      const ConvertReport report = convert_manifest(given->in, given->out, options);
      for (const std::string& example : report.examples) log::warning("left out: {}", example);
      std::string text = fmt::format("{}: {} records", given->out.string(), report.records);
      if (report.captions > 0) text += fmt::format(", {} captions", report.captions);
      text += fmt::format(", from {}", name_of(kSetFormNames, report.form));
      if (!report.fields.empty()) text += fmt::format(" ({})", fmt::join(report.fields, ", "));
      if (report.other_splits > 0) text += fmt::format("; {} of other splits", report.other_splits);
      if (report.lost > 0) text += fmt::format("; {} left out: {}", report.lost, report.lost_file.string());
      text += "\n";
      for (const std::string& note : report.notes) text += note + "\n";
      for (const auto& [split, count] : report.splits) text += fmt::format("split \"{}\": {}\n", split, count);
      print(text);
      return 0;
    };
  });
}

}  // namespace vicha::cli
