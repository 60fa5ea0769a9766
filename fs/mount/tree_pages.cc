#include "tree_pages.h"

#include <algorithm>
#include <utility>

namespace stagefs {
namespace {

constexpr size_t kListPage = 256;
constexpr size_t kKnownPage = 1024;  // Of names that the index need not be asked for.

// Adds to the sorted `page` those of `more`, in any order, that it does not have.
void Merge(std::vector<Listed>* page, std::vector<Listed> more) {
  const auto by_name = [](const Listed& a, const Listed& b) { return a.name < b.name; };
  const auto staged = static_cast<ptrdiff_t>(page->size());
  for (Listed& listed : more) {
    if (!std::binary_search(page->begin(), page->begin() + staged, listed, by_name)) page->push_back(std::move(listed));
  }
  std::sort(page->begin() + staged, page->end(), by_name);
  std::inplace_merge(page->begin(), page->begin() + staged, page->end(), by_name);
}

}  // namespace

int64_t TreePages::AllKnownAt() {
  auto table = nodes_.Lock();
  return folder_->extra().all_known_at;
}

std::optional<ListedPage> TreePages::AllKnownAfter(const std::string& name) {
  if (with_control_ || AllKnownAt() == -1) return std::nullopt;
  const auto mark = repository_.index().ChangeMark();
  auto table = nodes_.Lock();
  if (!mark || folder_->extra().all_known_at != *mark) return std::nullopt;
  ListedPage page;
  table->VisitChildren(folder_->folder(), name, [&](const Node& child) {
    page.names.push_back({child.slot.name, child.kind, child.entry(), child.id, child.number});
    return page.names.size() < kKnownPage;
  });
  page.is_last = page.names.size() < kKnownPage;
  return page;
}

std::vector<Listed> TreePages::WrittenHere() {
  std::vector<Listed> written;
  auto table = nodes_.Lock();
  for (const auto& child : table->WrittenChildrenOf(folder_->folder())) {
    written.push_back({child->slot.name, child->kind, child->entry()});
  }
  return written;
}

Attributes TreePages::OfParent() {
  std::shared_ptr<Node> parent;
  {
    auto table = nodes_.Lock();
    parent = folder_->id == kRootNode ? folder_ : table->FindFolder(folder_->slot.folder);
  }
  return files_.AttributesOf(parent ? parent : folder_);
}

bool TreePages::IsCurrent() {
  auto table = nodes_.Lock();
  return Now() == page_from_;
}

Result<ListedPage> TreePages::After(const std::string& name) {
  {
    auto table = nodes_.Lock();
    page_from_ = Now();
  }
  return ListAfter(name);
}

Result<ListedPage> TreePages::ListAfter(const std::string& name) {
  if (auto known = AllKnownAfter(name)) return std::move(*known);
  // First those: one that is staged and closed meanwhile is among the tree's then.
  std::vector<Listed> written = WrittenHere();
  if (with_control_) written.push_back({std::string(kControlFolder), NodeKind::kControlFolder, Entry()});
  STAGEFS_ASSIGN_OR_RETURN(const auto entries, tree_.List(folder_->folder(), name, kListPage));
  ListedPage page;
  page.is_last = entries.size() < kListPage;
  std::erase_if(written, [&](const Listed& listed) {
    return listed.name <= name || (!page.is_last && listed.name >= entries.back().name);
  });
  page.names.reserve(entries.size() + written.size());
  for (const auto& [listed, entry] : entries) page.names.push_back({listed, KindOf(entry.kind), entry});
  Merge(&page.names, std::move(written));
  std::vector<std::string_view> names;
  names.reserve(page.names.size());
  for (const Listed& listed : page.names) names.push_back(listed.name);
  auto table = nodes_.Lock();
  table->FindSorted(folder_->folder(), names, [&](size_t i, const Node& known) {
    page.names[i].id = known.id;
    page.names[i].number = known.number;
  });
  for (Listed& listed : page.names) {
    if (listed.id == 0) listed.number = table->NumberAt(*folder_, listed.name);
  }
  return page;
}

FolderPages::Shown TreePages::Show(const Listed& listed, bool plus) {
  if (plus && listed.kind != NodeKind::kControlFolder) {
    const Slot slot{folder_->folder(), listed.name};
    const auto node = nodes_.RememberListed(slot, listed.entry, [&] { return Now() == page_from_; });
    if (node) return {files_.AttributesOf(node), true};
  }
  all_known_ = all_known_ && listed.id != 0;
  Node unknown;
  unknown.id = listed.id;
  unknown.number = listed.number;
  unknown.kind = listed.kind;
  unknown.attached = true;
  unknown.SetEntry(listed.entry);
  return {nodes_.AttributesOf(unknown), false};
}

void TreePages::Begin() {
  const auto mark = repository_.index().ChangeMark();
  auto table = nodes_.Lock();
  all_known_ = static_cast<bool>(mark);
  mark_ = mark ? *mark : -1;
  detached_ = folder_->MakeExtra().detached;
}

// In pieces, as others wait for the lock.
off_t TreePages::CountNodes() {
  off_t nodes = 0;
  std::string last;
  for (bool more = true; more;) {
    more = false;
    size_t visited = 0;
    auto table = nodes_.Lock();
    table->VisitChildren(folder_->folder(), last, [&](const Node& child) {
      ++nodes;
      more = ++visited == kKnownPage;
      if (more) last = child.slot.name;
      return !more;
    });
  }
  return nodes;
}

// If nothing changed meanwhile and each name was known, the next listing need not ask the index.
void TreePages::End(off_t names) {
  if (!std::exchange(all_known_, false) || AllKnownAt() == mark_) return;
  // What others removed may be attached until it is looked at again: then there are more nodes than names.
  if (CountNodes() != names) return;
  const auto mark = repository_.index().ChangeMark();
  auto table = nodes_.Lock();
  if (!mark || *mark != mark_ || folder_->extra().detached != detached_) return;
  folder_->MakeExtra().all_known_at = *mark;
}

}  // namespace stagefs
