// A listing in progress: what an open folder is.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "attributes.h"

namespace stagefs {

// A name in a folder, before anybody asked for it.
struct Listed {
  std::string name;
  NodeKind kind = NodeKind::kFile;
  Entry entry;
  NodeId id = 0;  // 0: the kernel does not know it.
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
  // Of the folder itself.
  virtual Attributes OfFolder() = 0;
  // From the first name on.
  virtual void Begin() {}
  // The names after `name`.
  virtual Result<ListedPage> After(const std::string& name) = 0;
  struct Shown {
    Attributes attributes;
    bool looked_up = false;
  };
  // What a name shows. With `plus` it counts as looked up, where it can be.
  virtual Shown Show(const Listed& listed, bool plus) = 0;
  // A name that was shown as looked up was not handed out after all.
  virtual void TakeBack(NodeId id) = 0;
  // `names` were listed, one after the other, and there are no more.
  virtual void End(off_t names) { (void)names; }
};

// Offsets count names: 1 and 2 are those after "." and "..". A listing that goes on where it stopped neither repeats
// nor leaves out a name that was there all the time: it knows the last name it handed out, and names are sorted. A
// name that is made or removed meanwhile may be in it or not. An offset that was passed already starts anew from the
// first name.
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
  void Rewind();
  Result<bool> HasName();
  bool AddDot(const std::function<bool(const Name&)>& add);
  bool AddName(const Listed& listed, bool plus, const std::function<bool(const Name&)>& add);

  // Guarded by mutex_.
  std::mutex mutex_;
  const std::unique_ptr<FolderPages> pages_;
  ListedPage page_;
  size_t page_at_ = 0;
  off_t offset_ = 0;  // Of the name at page_at_.
  std::string last_name_;
};

}  // namespace stagefs
