#include "follow_link.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

namespace stagefs {
namespace {

// What is still to be gone of a way, the next name last.
class WayAhead {
 public:
  void Add(std::string_view target) {
    std::vector<std::string> names;
    for (size_t begin = 0; begin < target.size();) {
      const size_t end = std::min(target.find('/', begin), target.size());
      names.emplace_back(target.substr(begin, end - begin));
      begin = end + 1;
    }
    names_.insert(names_.end(), std::make_move_iterator(names.rbegin()), std::make_move_iterator(names.rend()));
  }
  bool IsAtEnd() const { return names_.empty(); }
  std::string Next() {
    std::string name = std::move(names_.back());
    names_.pop_back();
    return name;
  }

 private:
  std::vector<std::string> names_;
};

}  // namespace

Result<FollowedLink> FollowLink(Tree& tree, FolderId folder, std::string_view target) {
  const auto left_out = [](const char* why) { return FollowedLink{std::nullopt, why}; };
  constexpr char kOutside[] = "it leads out of the tree", kNothing[] = "it leads to nothing";
  WayAhead way;
  if (target.starts_with('/')) return left_out(kOutside);
  way.Add(target);
  for (int hops = 1; !way.IsAtEnd();) {
    const std::string name = way.Next();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (folder == kRootFolder) return left_out(kOutside);
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, tree.PlaceOf(folder));
      if (!place) return left_out(kNothing);
      folder = place->folder;
      continue;
    }
    const Slot slot{folder, name};
    STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry, tree.LookUp(slot));
    if (!entry) return left_out(kNothing);
    if (entry->kind == EntryKind::kFolder) {
      folder = entry->child;
      continue;
    }
    if (entry->kind == EntryKind::kSymlink) {
      if (++hops > kLinkHopsMax) return left_out("it leads over more than 40 links, or in a ring");
      if (entry->target.starts_with('/')) return left_out(kOutside);
      way.Add(entry->target);
      continue;
    }
    STAGEFS_ASSIGN_OR_RETURN(const bool scratch, tree.IsScratch(slot, *entry));
    if (scratch || !way.IsAtEnd()) return left_out(kNothing);
    return FollowedLink{std::move(*entry), ""};
  }
  return left_out("it leads to a folder");
}

}  // namespace stagefs
