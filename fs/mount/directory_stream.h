// A listing in progress: what an open folder is.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "attributes.h"

namespace stagefs {

// A name in a folder, before anybody asked for it.
struct Listed {
  std::string name;
  NodeKind kind = NodeKind::kFile;
  Entry entry;
  NodeId id = 0;        // 0: the kernel does not know it.
  uint64_t number = 0;  // Of the inode that it has or will have.
};

// Names in order, each after those of the page before. Without a name it may still not be the last one.
struct ListedPage {
  std::vector<Listed> names;
  bool is_last = false;
};

// Where a listing's names come from: one object for each open folder, used by one thread at a time.
class FolderPages {
 public:
  virtual ~FolderPages();
  // Of the folder itself, and of the one it is in.
  virtual Attributes OfFolder() = 0;
  virtual Attributes OfParent() { return OfFolder(); }
  // From the first name on.
  virtual void Begin() {}
  // The names after `name`.
  virtual Result<ListedPage> After(const std::string& name) = 0;
  // Whether names of that page may be shown without being asked for again: none of them went, as far as is known.
  virtual bool IsCurrent() { return true; }
  struct Shown {
    Attributes attributes;
    bool looked_up = false;
  };
  // What a name of that page shows. With `plus` it counts as looked up, where it can be and is current.
  virtual Shown Show(const Listed& listed, bool plus) = 0;
  // A name that was shown as looked up was not handed out after all.
  virtual void TakeBack(NodeId id) = 0;
  // `names` were listed, one after the other, and there are no more. Negative: some were passed over.
  virtual void End(off_t names) { (void)names; }
};

// Names come in their order. The offset after a name is made of the name alone, so it leads to the same place whatever
// is added and removed, also after a rewind and in another listing of the folder; 1 and 2 are those after "." and "..".
// A name that was handed out lately need not even be there any more: `rm -r` with a small buffer goes on after names
// that it removed. Of two names with one offset, which 63 bits of a hash make unlikely, the later one gets the next
// offset in this listing. A name that is made or removed meanwhile may be in a listing or not; none is repeated or left
// out.
//
// Safe for concurrent use: one List() at a time.
class DirectoryStream {
 public:
  explicit DirectoryStream(std::unique_ptr<FolderPages> pages) : pages_(std::move(pages)) {}

  struct Name {
    std::string name;
    Attributes attributes;
    off_t next = 0;  // The offset after it.
    bool looked_up = false;
  };
  // Hands out the names at `offset` and after, until `add` has no room for one and returns false.
  Status List(off_t offset, bool plus, const std::function<bool(const Name&)>& add);

 private:
  // A name that was handed out, and how many there were up to it since the rewind of that number.
  struct HandedOut {
    std::string name;
    off_t count = 0;
    int rewinds = 0;
  };
  using ByOffset = std::unordered_map<off_t, HandedOut>;

  Status MoveTo(off_t offset);
  void DropPage();
  void StandAfter(const HandedOut& place);
  Result<std::optional<HandedOut>> Search(off_t offset);
  std::optional<HandedOut> Find(off_t offset) const;
  off_t OffsetFor(const std::string& name) const;
  Result<bool> HasName();
  bool AddName(const Listed& listed, bool plus, const std::function<bool(const Name&)>& add);

  // Guarded by mutex_.
  std::mutex mutex_;
  const std::unique_ptr<FolderPages> pages_;
  ListedPage page_;
  size_t page_at_ = 0;
  off_t offset_ = 0;    // Of the name at page_at_.
  HandedOut last_;      // The name before it; "" at the first one.
  int rewinds_ = 0;
  ByOffset lately_, before_;  // Those of two stretches: so many names are remembered, however long the listing is.
};

}  // namespace stagefs
