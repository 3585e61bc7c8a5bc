#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "concepts/vocabulary/count_concepts.h"
#include "text/cleaning/label.h"

namespace vicha {
namespace {

// What a caption says about itself, where something is, how much of it there is, who is not named, when and why.
constexpr std::string_view kStopWords =
    "picture,photo,photograph,photography,image,pic,snapshot,snap,shot,view,scene,close up,close-up,closeup,footage,"
    "screenshot,stock,stock photo,caption,copy space,foreground,background,perspective,angle,version,selection,format,"
    "detail,example,depiction,"
    "top,bottom,side,left,right,middle,center,centre,front,back,rear,end,inside,outside,interior,exterior,distance,"
    "direction,way,area,place,location,spot,position,part,section,here,there,other side,half,surroundings,"
    "kind,type,sort,variety,assortment,array,number,lot,amount,bit,piece,set,series,bunch,pair,dozen,one,size,color,"
    "colour,shape,style,look,use,purpose,condition,order,form,thing,something,anything,everything,nothing,stuff,item,"
    "object,subject,content,"
    "it,he,she,they,them,him,her,we,us,you,i,me,this,that,these,those,which,who,what,someone,somebody,anyone,anybody,"
    "everyone,everybody,no one,nobody,itself,himself,herself,themselves,each,each other,another,other,others,rest,"
    "time,moment,while,year,month,week,hour,minute,second,case,fact,idea,reason,name,title,attempt,process,"
    "preparation,motion,action,activity,"
    // attributes that cannot be seen
    "several,many,few,some,various,different,same,certain,own,more,most,such,all,both,any,much,main,first,last,next,"
    "new,available,possible,nearby";

/// Lines that say something, with their numbers, white space at both ends cut.
template <class See>
void for_each_line(const fs::path& path, See&& see) {
  const std::string content = read_text_file(path);
  std::string_view left = content;
  if (left.starts_with("\xEF\xBB\xBF")) left.remove_prefix(3);
  for (std::int64_t number = 1; !left.empty(); ++number) {
    std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
    while (line.ends_with('\r') || line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    const std::string where = fmt::format("{}, line {}", path.string(), number);
    if (!cleaning::is_utf8(line)) throw DataError(where, "is not UTF-8", "Save the file as UTF-8");
    see(line, where, number);
  }
}

}  // namespace

std::span<const std::string_view> default_stop_words() {
  static const std::vector<std::string_view> words = [] {
    std::vector<std::string_view> list;
    for (std::string_view left = kStopWords; !left.empty();) {
      list.push_back(left.substr(0, left.find(',')));
      left.remove_prefix(std::min(list.back().size() + 1, left.size()));
    }
    return list;
  }();
  return words;
}

std::set<std::string, std::less<>> load_stop_list(const fs::path& path) {
  std::set<std::string, std::less<>> words;
  for_each_line(path, [&](std::string_view line, const std::string&, std::int64_t) {
    if (std::string word = concept_form(line); !word.empty()) words.insert(std::move(word));
  });
  return words;
}

std::map<std::string, std::string, std::less<>> load_merged_forms(const fs::path& path) {
  struct Step {
    std::string to;
    std::int64_t line;
  };
  std::map<std::string, Step> steps;
  for_each_line(path, [&](std::string_view line, const std::string& where, std::int64_t number) {
    const std::size_t tab = line.find('\t');
    std::string from = concept_form(line.substr(0, tab));
    std::string to = tab == std::string_view::npos ? "" : concept_form(line.substr(tab + 1));
    if (from.empty() || to.empty() || line.find('\t', tab + 1) != std::string_view::npos) {
      throw DataError(where, "is not two words with a tab between them", "Write: bike, a tab, bicycle");
    }
    if (from == to) return;
    const auto [first, fresh] = steps.try_emplace(from, Step{to, number});
    if (!fresh && first->second.to != to) {
      throw DataError(where,
                      fmt::format("\"{}\" is merged into \"{}\" here and into \"{}\" in line {}", from, to,
                                  first->second.to, first->second.line),
                      "Take one of the two out");
    }
  });
  std::map<std::string, std::string, std::less<>> merged;
  for (const auto& [from, step] : steps) {
    std::string to = step.to;
    std::size_t taken = 0;
    for (auto next = steps.find(to); next != steps.end() && taken <= steps.size(); next = steps.find(to), ++taken) {
      to = next->second.to;
    }
    if (taken > steps.size()) {
      throw DataError(fmt::format("{}, line {}", path.string(), step.line),
                      fmt::format("\"{}\" is merged in a circle", from), "Take one line of the circle out");
    }
    merged.emplace(from, std::move(to));
  }
  return merged;
}

}  // namespace vicha
