#include "directory_stream.h"

#include <utility>

namespace stagefs {
namespace {

constexpr off_t kDots = 2;

}  // namespace

FolderPages::~FolderPages() = default;

void DirectoryStream::Rewind() {
  page_ = {};
  page_at_ = 0;
  offset_ = 0;
  last_name_.clear();
  pages_->Begin();
}

Status DirectoryStream::List(off_t offset, bool plus, const std::function<bool(const Name&)>& add) {
  std::lock_guard lock(mutex_);
  if (offset < offset_ || offset == 0) Rewind();
  for (;; ++offset_) {
    if (offset_ < kDots) {
      if (offset_ >= offset && !AddDot(add)) return {};
      continue;
    }
    STAGEFS_ASSIGN_OR_RETURN(const bool has_name, HasName());
    if (!has_name) {
      pages_->End(offset_ - kDots);
      return {};
    }
    if (offset_ >= offset && !AddName(page_.names[page_at_], plus, add)) return {};
    ++page_at_;
  }
}

// Whether there is one at offset_; takes the next page where this one is through.
Result<bool> DirectoryStream::HasName() {
  while (page_at_ == page_.names.size()) {
    if (page_.is_last) return false;
    STAGEFS_ASSIGN_OR_RETURN(page_, pages_->After(last_name_));
    page_at_ = 0;
    if (!page_.names.empty()) last_name_ = page_.names.back().name;
  }
  return true;
}

bool DirectoryStream::AddDot(const std::function<bool(const Name&)>& add) {
  return add({offset_ == 0 ? "." : "..", pages_->OfFolder(), offset_ + 1, false});
}

bool DirectoryStream::AddName(const Listed& listed, bool plus, const std::function<bool(const Name&)>& add) {
  const FolderPages::Shown shown = pages_->Show(listed, plus);
  if (add({listed.name, shown.attributes, offset_ + 1, shown.looked_up})) return true;
  if (shown.looked_up) pages_->TakeBack(shown.attributes.id);
  return false;
}

}  // namespace stagefs
