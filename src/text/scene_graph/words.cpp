#include "text/scene_graph/words.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

namespace vicha::text_detail {
namespace {

// The words of a list that is written as one text.
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

constexpr std::pair<Tag, std::string_view> kClosed[] = {
    {Tag::kDeterminer,
     "a an the this these those some any each every all both another other no my your his her its their our whose what "
     "such same own either neither more most half certain first second third last"},
    {Tag::kNumber,
     "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
     "eighteen nineteen twenty thirty forty fifty sixty hundred thousand dozen several many few multiple numerous "
     "various countless"},
    {Tag::kBe, "is are was were be been being am"},
    {Tag::kAuxiliary, "has have had having do does did can could will would may might must should shall cannot"},
    {Tag::kPreposition,
     "of in on at with by for from into onto over under above below beneath underneath behind beside besides between "
     "among amongst amid amidst against along alongside across around round near inside outside within through "
     "throughout toward towards past upon off out up down as like than via per during before after without about "
     "aboard "
     "atop beyond until since despite except including to opposite underneath"},
    {Tag::kConjunction, "and or but nor plus"},
    {Tag::kAdverb,
     "very too also just only still almost really quite rather away together apart back forward forwards backward "
     "backwards here there not never then now ahead aside abreast sideways even else ever often sometimes upright "
     "outdoors indoors nearby overhead upstairs downstairs downhill uphill underwater closely well yet so somewhere "
     "everywhere midair alone aloft ashore elsewhere maybe perhaps once twice again please both"},
    {Tag::kPronoun,
     "it he she they him them himself herself itself themselves i we you us me someone somebody everyone everybody "
     "anyone anybody nobody something nothing everything anything others mine hers theirs ours yours everyone's"},
    {Tag::kRelative, "who which that whom"},
    {Tag::kSubordinator, "while when whilst whenever where wherever because if though although whereas"},
    {Tag::kGenitive, "'s '"},
};

constexpr std::pair<WordKind, std::string_view> kKinds[] = {
    {WordKind::kCollective,
     "group couple pair herd bunch crowd flock pack swarm lot number variety series set collection assortment array "
     "gang "
     "team trio duo family row line school dozen hundred thousand ton selection cluster type kind sort plenty handful "
     "bit school litter"},
    {WordKind::kPicture,
     "photo photograph picture image view close-up closeup shot snapshot portrait painting drawing depiction scene "
     "selfie illustration sketch video rendering"},
    {WordKind::kPerson,
     "person man woman child boy girl kid baby toddler infant lady guy gentleman adult teenager teen people player "
     "surfer skier snowboarder skateboarder skater rider cyclist biker bicyclist motorcyclist driver pilot passenger "
     "pedestrian tourist spectator fan crowd audience chef cook waiter waitress baker butcher farmer fisherman fireman "
     "firefighter policeman policewoman officer cop soldier sailor guard worker student teacher doctor nurse dentist "
     "bride groom couple family father mother dad mom son daughter brother sister friend parent grandfather "
     "grandmother "
     "husband wife friend girlfriend boyfriend batter catcher pitcher umpire referee coach athlete runner jogger hiker "
     "climber swimmer diver dancer singer musician guitarist drummer artist painter photographer actor clown magician "
     "king queen prince princess businessman businesswoman barber hairdresser mechanic carpenter plumber gardener "
     "vendor "
     "shopper customer seller cowboy jockey goalie golfer boxer wrestler gymnast cheerleader bartender cashier "
     "male female youth youngster senior elder twin human pirate santa monk priest nun captain conductor fiddler "
     "violinist pianist performer juggler paddler kayaker rower skydiver astronaut scientist engineer builder janitor "
     "somebody someone everyone everybody anyone anybody nobody he she they who individual member character"},
    {WordKind::kAnimal,
     "animal dog puppy cat kitten kitty bird horse pony foal sheep lamb goat cow calf bull ox cattle pig piglet "
     "elephant giraffe zebra bear panda lion tiger leopard cheetah monkey ape gorilla chimpanzee kangaroo koala deer "
     "elk "
     "moose antelope gazelle buffalo bison camel llama alpaca donkey mule rabbit bunny hare squirrel chipmunk mouse "
     "rat "
     "hamster fox wolf coyote raccoon skunk otter beaver seal walrus whale dolphin shark fish turtle tortoise frog "
     "toad "
     "lizard snake crocodile alligator duck duckling goose swan chicken hen rooster chick turkey owl eagle hawk falcon "
     "parrot pigeon dove seagull gull crow raven sparrow robin peacock ostrich penguin flamingo pelican heron crane "
     "stork "
     "bee butterfly spider ant insect beetle crab lobster octopus rhino rhinoceros hippo hippopotamus hedgehog pug "
     "poodle bulldog terrier beagle husky labrador retriever shepherd dachshund corgi cub stallion hummingbird pet"},
    {WordKind::kColour,
     "red orange yellow green blue purple pink brown black white gray grey tan beige gold golden silver maroon navy "
     "turquoise teal violet magenta crimson scarlet cream ivory blonde khaki lavender burgundy blond"},
    {WordKind::kShade, "dark light bright pale deep neon pastel hot off navy"},
    {WordKind::kMaterial,
     "stone brick wood metal steel iron granite marble concrete glass plastic paper cardboard leather cotton wool silk "
     "denim lace velvet fur rubber ceramic porcelain clay tile tin aluminum aluminium copper brass bronze gold silver "
     "chrome bamboo wicker straw cobblestone gravel cement asphalt dirt sand mud snow ice oak pine mahogany plywood "
     "foam "
     "styrofoam vinyl linen satin nylon canvas mesh chalk crystal jade pearl diamond teddy"},
    {WordKind::kPersonPronoun, "someone somebody everyone everybody anyone anybody nobody"},
    {WordKind::kCaptionVerb,
     "ride park walk run play jump watch look stand sit lie lay rest sleep fly swim surf ski skate skateboard "
     "snowboard "
     "catch hit swing throw kick pitch serve slide drive climb cross pose smile wait work cook eat drink feed brush "
     "cut "
     "slice hold carry pull push reach show share kiss hug race dance perform practice stop turn hang float sail dive "
     "graze perch land lean laugh talk read write paint wear use make take get give put go come look point gather line "
     "spray chase bite lick wash clean fill cover surround face display feature contain decorate approach pass travel "
     "move roll bounce balance toss dribble shoot score block tackle fight wrestle stretch bend kneel crouch squat "
     "lift "
     "raise lower drop pick grab touch pet groom ride drag tow load unload deliver sell buy shop prepare mix pour bake "
     "grill fry chop peel open close enter leave exit board wave cheer celebrate blow light burn splash soak dry shine "
     "glow fall rise grow bloom peek stare gaze glance shake spin flip trick hike camp fish row paddle kayak march "
     "parade salute juggle sing whistle shout yell scream cry yawn nap snuggle cuddle nuzzle sniff smell taste bark "
     "howl "
     "crawl hop skip trot gallop strike swing pile stack head hurry rush roam wander stroll type text call film record "
     "photograph snap examine inspect study teach help lead follow guide train lounge relax recline adjust tie fix "
     "repair "
     "build dig plant water mow rake shovel sweep mop vacuum overlook contemplate"},
    {WordKind::kParticiple,
     "worn eaten ridden driven seen taken shown drawn broken frozen torn held stuck left lit hung laid built made cut "
     "put "
     "set shaven given written woven thrown flown grown known blown bent bound caught bought brought found fed fought "
     "hidden hit kept led lost met paid read sent shot shut sliced spread split spun stood stolen struck strung swept "
     "swung taught told beaten bitten chosen done fallen forgotten gone risen shaken spoken sunk sworn wound wrapped "
     "clad upset cast dug ground hurt knit laden lain mown sewn shorn sold spilt stung sung overgrown sunlit undone "
     "overturned outfitted unmade drunk"},
    {WordKind::kPastTense,
     "ate rode drove saw took went gave wore flew ran swam threw broke froze drew wrote spoke stole tore sang blew "
     "grew "
     "knew fell came got became began drank sank rang chose rose woke shook sprang bit hid did was were sat slept "
     "stood "
     "won leapt lay bore beat wove slid"},
    {WordKind::kIngNoun,
     "building ceiling clothing railing wedding evening morning string spring ring king wing pudding icing frosting "
     "topping lightning awning sibling duckling painting drawing crossing landing parking meeting gathering covering "
     "setting serving stuffing dressing filling seating lighting bedding flooring opening clearing marking writing "
     "thing "
     "sling earring fencing sling housing being offspring beginning ending engraving carving siding roofing paneling "
     "wiring plating scaffolding vaulting moulding molding shelving paving tubing rigging wrapping packaging"},
    {WordKind::kMostlyNoun,
     "light slice park stop board cover face display line block pet wave exit fall shop load shake head record train "
     "lounge tie plant water stack pile fish row paddle point cut drink color colour shade trick score film call text "
     "study guide pitch slide turn race dance camp row brush bark record perch cook"},
    {WordKind::kGerundModifier,
     "swimming parking dining living shopping cutting ironing washing fishing boxing hiking racing cooking baking "
     "frying "
     "chopping camping sewing mixing serving measuring recycling changing skating skiing sailing bowling "
     "wading vending bathing steering landing rocking knitting training welding rolling"},
    {WordKind::kStaticPlace,
     "near beside behind under above below beneath underneath between among amongst amid amidst inside outside within "
     "alongside atop aboard opposite"},
    {WordKind::kMovesObject,
     "put place set lay throw toss kick hit jump spray pour drop hang load pile stack push pull drag lift raise roll "
     "bounce shake spread sprinkle insert stick slide lean move carry deliver hand serve pitch shoot fling hurl launch "
     "leave squirt spill scatter lower stuff pack mount balance scoop dip rest fly swing dunk slam"},
    {WordKind::kPossession, "wear hold have carry feature contain show display include has had use own see"},
    {WordKind::kHelper,
     "try prepare attempt get learn wait start begin go want need seem appear about use like continue plan ready stop"},
    {WordKind::kIntensifier, "very so too really quite extremely rather pretty fairly just almost super completely"},
    {WordKind::kObjectParticle, "up off out away on over"},
};

constexpr std::pair<Tag, std::string_view> kIdioms[] = {
    {Tag::kNoun, "close up"},
    {Tag::kPreposition,
     "in front of,in back of,on top of,next to,in between,out of,inside of,outside of,close to,adjacent to,ahead of,"
     "along with,together with,because of,instead of,across from,away from,up against,on board,such as,as well as,due "
     "to,"
     "far from,off of,underneath of"},
    {Tag::kAdverb,
     "back to back,side by side,hand in hand,face to face,upside down,at once,up close,one by one,of course,"
     "in a row,in a line,in line,in unison,all around,each other,one another,back and forth,up and down,at least,"
     "as if,arm in arm,nose to nose,a lot,in black and white,for sale"},
};

std::unordered_map<std::string_view, Tag> make_closed() {
  std::unordered_map<std::string_view, Tag> map;
  for (const auto& [tag, text] : kClosed) {
    for (const std::string_view word : words_of(text)) map.emplace(word, tag);
  }
  return map;
}

std::unordered_map<std::string_view, std::uint32_t> make_kinds() {
  std::unordered_map<std::string_view, std::uint32_t> map;
  for (const auto& [kind, text] : kKinds) {
    for (const std::string_view word : words_of(text)) map[word] |= static_cast<std::uint32_t>(kind);
  }
  return map;
}

// Idioms by their first word; each list longest first.
struct IdiomTable {
  std::vector<std::vector<std::string_view>> words;
  std::unordered_map<std::string_view, std::vector<Idiom>> by_first;

  IdiomTable() {
    std::vector<Tag> tags;
    for (const auto& [tag, text] : kIdioms) {
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        words.push_back(words_of(text.substr(at, end - at)));
        tags.push_back(tag);
        at = end + 1;
      }
    }
    for (std::size_t i = 0; i < words.size(); ++i) by_first[words[i].front()].push_back({words[i], tags[i]});
    for (auto& [first, list] : by_first) {
      std::sort(list.begin(), list.end(),
                [](const Idiom& a, const Idiom& b) { return a.words.size() > b.words.size(); });
    }
  }
};

bool vowel(char c) { return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u'; }

// What is left of a form without -ing or -ed, or with -e behind it, if one of them is in the lists.
std::string base_of_stem(std::string stem) {
  const auto listed = [](const std::string& word) {
    return is(word, WordKind::kCaptionVerb) || is(word, WordKind::kMovesObject) || is(word, WordKind::kPossession) ||
           is(word, WordKind::kHelper);
  };
  if (listed(stem)) return stem;
  if (listed(stem + "e")) return stem + "e";
  const std::size_t n = stem.size();
  if (n > 2 && stem[n - 1] == stem[n - 2] && !vowel(stem[n - 1])) {
    std::string single = stem.substr(0, n - 1);
    if (listed(single)) return single;
  }
  if (n > 2 && stem.back() == 'i') stem.back() = 'y';
  return stem;
}

}  // namespace

Tag closed_class(std::string_view word) {
  static const auto map = make_closed();
  const auto found = map.find(word);
  return found == map.end() ? Tag::kUnknown : found->second;
}

bool is(std::string_view word, WordKind kind) {
  static const auto map = make_kinds();
  const auto found = map.find(word);
  return found != map.end() && (found->second & static_cast<std::uint32_t>(kind)) != 0;
}

std::span<const Idiom> idioms_of(std::string_view first) {
  static const IdiomTable table;
  const auto found = table.by_first.find(first);
  if (found == table.by_first.end()) return {};
  return found->second;
}

std::string verb_base(std::string_view form) {
  static const std::unordered_map<std::string_view, std::string_view> irregular = {
      {"ate", "eat"},      {"rode", "ride"},   {"drove", "drive"},  {"saw", "see"},      {"took", "take"},
      {"gave", "give"},    {"wore", "wear"},   {"worn", "wear"},    {"flew", "fly"},     {"ran", "run"},
      {"swam", "swim"},    {"threw", "throw"}, {"held", "hold"},    {"hung", "hang"},    {"laid", "lay"},
      {"lying", "lie"},    {"sat", "sit"},     {"stood", "stand"},  {"left", "leave"},   {"has", "have"},
      {"had", "have"},     {"goes", "go"},     {"went", "go"},      {"caught", "catch"}, {"shot", "shoot"},
      {"stuck", "stick"},  {"swung", "swing"}, {"thrown", "throw"}, {"taken", "take"},   {"ridden", "ride"},
      {"driven", "drive"}, {"eaten", "eat"},   {"flown", "fly"},    {"shook", "shake"},  {"lit", "light"},
      {"fed", "feed"}};
  if (const auto found = irregular.find(form); found != irregular.end()) return std::string(found->second);
  const std::size_t n = form.size();
  if (n > 4 && form.ends_with("ing")) return base_of_stem(std::string(form.substr(0, n - 3)));
  if (n > 3 && form.ends_with("ed")) return base_of_stem(std::string(form.substr(0, n - 2)));
  if (n > 4 && form.ends_with("ies")) return std::string(form.substr(0, n - 3)) + "y";
  if (n > 4 && (form.ends_with("ches") || form.ends_with("shes") || form.ends_with("sses") || form.ends_with("xes") ||
                form.ends_with("zzes"))) {
    return std::string(form.substr(0, n - 2));
  }
  if (n > 2 && form.ends_with("s") && !form.ends_with("ss")) return std::string(form.substr(0, n - 1));
  return std::string(form);
}

}  // namespace vicha::text_detail
