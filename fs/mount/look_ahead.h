// Answers look-ups of one name after the other without asking the tree for each.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "stagefs/guarded.h"
#include "stagefs/tree.h"

namespace stagefs {

// Where the index is far away, and tells of changes, whoever goes through a folder in order of the names does not wait
// for it each time. Safe for concurrent use; its lock is not held while the tree is asked.
class LookAhead {
 public:
  // `tree` must outlive it.
  explicit LookAhead(Tree& tree) : tree_(tree) {}

  // What the tree has at `slot`. An answer is used again while `heard` and `generation` stay what they were when it was
  // asked for; without `heard` nobody tells of changes, and the tree is asked.
  Result<std::optional<Entry>> LookUp(const Slot& slot, std::optional<int64_t> heard, int64_t generation);

 private:
  // Entries of a folder from after one name up to another, and the name that was looked up last.
  struct Ahead {
    int64_t heard = -1, generation = -1;
    std::string last, after;
    std::optional<std::string> up_to;  // std::nullopt: to the end.
    std::map<std::string, Entry, std::less<>> entries;
  };

  Tree& tree_;
  Guarded<std::map<FolderId, Ahead>> ahead_;
};

}  // namespace stagefs
