#include "archive_reply.h"

#include <vector>

#include "stagefs/version_source.h"

namespace stagefs {
namespace {

constexpr size_t kPageEntries = 1024;

class FolderFiles {
 public:
  FolderFiles(std::shared_ptr<Repository> repository, Revision revision, FolderId folder)
      : repository_(std::move(repository)), revision_(std::move(revision)) {
    open_.push_back({folder, ""});
  }

  Result<std::optional<ArchiveEntry>> Next() {
    while (!open_.empty()) {
      Folder& top = open_.back();
      if (top.at == top.page.size()) {
        if (top.end) open_.pop_back();
        else STAGEFS_RETURN_IF_ERROR(ReadPage(&top));
        continue;
      }
      const Item& item = top.page[top.at++];
      std::string path = top.path + item.entry.name;
      if (item.entry.value.kind == EntryKind::kFolder) {
        open_.push_back({item.entry.value.child, path + '/'});
        continue;
      }
      auto bytes = repository_->OpenVersion(item.version);
      if (!bytes) {
        STAGEFS_ASSIGN_OR_RETURN(bytes, OpenNewer(top.folder, item, bytes.error()));
        if (!*bytes) continue;
      }
      return std::optional(ArchiveEntry{std::move(path), item.entry.value.mtime_ns, item.entry.value.executable,
                                        std::move(*bytes)});
    }
    return std::optional<ArchiveEntry>();
  }

 private:
  struct Item {
    Named<Entry> entry;
    VersionInfo version;  // Of a file.
  };
  struct Folder {
    FolderId folder = 0;
    std::string path;  // "" or with a slash at its end.
    std::vector<Item> page{};
    size_t at = 0;
    bool end = false;
  };

  // What a file that is written on grew out of leaves the store: it is as it is now, or gone (nullptr).
  Result<std::unique_ptr<VersionReader>> OpenNewer(FolderId folder, const Item& item, const Error& error) {
    STAGEFS_ASSIGN_OR_RETURN(const auto tree, RevisionTree::Open(*repository_, revision_, LinksAre::kFollowed));
    STAGEFS_ASSIGN_OR_RETURN(const auto now, tree->LookUp({folder, item.entry.name}));
    if (!now || now->kind != EntryKind::kFile) return std::unique_ptr<VersionReader>();
    if (now->version == item.version.id) return error;
    STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, tree->VersionOf(*now));
    return repository_->OpenVersion(version);
  }

  Status ReadPage(Folder* folder) {
    STAGEFS_ASSIGN_OR_RETURN(const auto tree, RevisionTree::Open(*repository_, revision_, LinksAre::kFollowed));
    const std::string after = folder->page.empty() ? "" : folder->page.back().entry.name;
    STAGEFS_ASSIGN_OR_RETURN(auto page, tree->List(folder->folder, after, kPageEntries));
    folder->page.clear();
    folder->at = 0;
    folder->end = page.size() < kPageEntries;
    for (Named<Entry>& entry : page) {
      Item item;
      if (entry.value.kind != EntryKind::kFolder) {
        STAGEFS_ASSIGN_OR_RETURN(item.version, tree->VersionOf(entry.value));
      }
      item.entry = std::move(entry);
      folder->page.push_back(std::move(item));
    }
    return {};
  }

  const std::shared_ptr<Repository> repository_;
  const Revision revision_;
  std::vector<Folder> open_;
};

}  // namespace

Reply ArchiveReply(ArchiveFormat format, NextArchiveEntry next) {
  HttpResponse response;
  response.content_type = format == ArchiveFormat::kZip ? "application/zip" : "application/gzip";
  response.headers["content-disposition"] = "attachment";
  STAGEFS_ASSIGN_OR_RETURN(response.stream, NewArchiveSource(format, std::move(next)));
  return response;
}

NextArchiveEntry FilesBelow(std::shared_ptr<Repository> repository, Revision revision, FolderId folder) {
  auto files = std::make_shared<FolderFiles>(std::move(repository), std::move(revision), folder);
  return [files] { return files->Next(); };
}

}  // namespace stagefs
