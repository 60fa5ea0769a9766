#include "stagefs/written_manifest.h"

#include <algorithm>
#include <future>
#include <string>
#include <unordered_map>
#include <vector>

#include "stagefs/text.h"
#include "stagefs/work_progress.h"
#include "system/exact_time.h"
#include "versions_of.h"

namespace stagefs {
namespace {

constexpr size_t kTogether = 1024, kWrittenTogether = 4096;
constexpr size_t kEmitBytes = 64 << 10;

// As sha256sum writes a name: true if the line begins with a backslash.
bool EscapeName(const std::string& path, std::string* out) {
  if (path.find_first_of("\\\n\r") == std::string::npos) {
    *out += path;
    return false;
  }
  for (const char c : path) {
    if (c == '\\') *out += "\\\\";
    else if (c == '\n') *out += "\\n";
    else if (c == '\r') *out += "\\r";
    else *out += c;
  }
  return true;
}

std::string Quoted(const std::string& cell) {
  std::string quoted = "\"";
  for (const char c : cell) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

// The lines of files, as text that somebody takes.
class ManifestText {
 public:
  explicit ManifestText(const ManifestStyle& style) : style_(style) {
    if (style_.format == ManifestFormat::kJson) text_ += "[";
    if (style_.format == ManifestFormat::kCsv) text_ += "path,hash\n";
    if (style_.format == ManifestFormat::kTsv) text_ += "\"path\"\t\"hash\"\n";  // Quotes count in what follows.
  }

  // A file with its hash, or a link.
  void Add(const std::string& path, const Entry& entry, const std::string& hash) {
    if (entry.kind == EntryKind::kSymlink && !IsJson()) {
      ++written_.links;
      return;
    }
    if (entry.executable && !IsJson()) ++written_.executables;
    switch (style_.format) {
      case ManifestFormat::kJson:
        text_ += written_.files == 0 ? "\n" : ",\n";
        AddObject(path, entry, hash);
        break;
      case ManifestFormat::kNdjson:
        AddObject(path, entry, hash);
        text_ += '\n';
        break;
      case ManifestFormat::kCsv: AddCells(path, hash, ','); break;
      case ManifestFormat::kTsv: AddCells(path, hash, '\t'); break;
      case ManifestFormat::kSniff:
      case ManifestFormat::kSum: AddSum(path, hash); break;
    }
    ++written_.files;
  }
  void End() {
    if (style_.format == ManifestFormat::kJson) text_ += written_.files == 0 ? "]\n" : "\n]\n";
  }

  size_t size() const { return text_.size(); }
  std::string Take() { return std::exchange(text_, {}); }
  const WrittenManifest& written() const { return written_; }

 private:
  bool IsJson() const { return style_.format == ManifestFormat::kJson || style_.format == ManifestFormat::kNdjson; }

  void AddSum(const std::string& path, const std::string& hash) {
    const size_t begin = text_.size();
    text_ += style_.bsd_tag ? (style_.xxh3 ? "XXH128 (" : "SHA256 (") : hash + "  ";
    bool escaped = false;
    if (style_.zero) text_ += path;
    else escaped = EscapeName(path, &text_);
    if (style_.bsd_tag) text_ += ") = " + hash;
    text_ += style_.zero ? '\0' : '\n';
    if (escaped) text_.insert(begin, 1, '\\');
  }

  void AddObject(const std::string& path, const Entry& entry, const std::string& hash) {
    text_ += entry.kind == EntryKind::kSymlink ? '{' + JsonPath("target", entry.target) : "{\"hash\":\"" + hash + '"';
    text_ += "," + JsonPath("path", path) + ",\"size\":" + std::to_string(entry.size_bytes) + ",\"mtime\":\"" +
             ExactTime(entry.mtime_ns) + (entry.executable ? "\",\"executable\":true}" : "\"}");
  }

  void AddCells(const std::string& path, const std::string& hash, char between) {
    const bool plain = path.find_first_of("\",\t\r\n") == std::string::npos && !path.starts_with(' ') &&
                       !path.ends_with(' ');
    text_ += (plain ? path : Quoted(path)) + between + hash + '\n';
  }

  const ManifestStyle style_;
  std::string text_;
  WrittenManifest written_;
};

std::string HexOf(const ContentId& content, bool xxh3) {
  if (!xxh3) return ToHex(content.sha256);
  std::string hex = ToHex(content.xxh3);  // Without the zeros that xxhsum wants.
  return hex.insert(0, 2 * sizeof(Xxh3) - hex.size(), '0');
}

using Hashes = std::unordered_map<VersionId, std::string>;

Result<Hashes> FindHashes(IndexReader& index, std::vector<VersionId> ids, bool xxh3) {
  STAGEFS_ASSIGN_OR_RETURN(const auto versions, VersionsOf(index, std::move(ids)));
  Hashes hashes;
  for (const auto& [id, version] : versions) hashes[id] = HexOf(version.content, xxh3);
  hashes[0];  // A link has none.
  return hashes;
}

// Files of one moment, which the caller finds while another thread looks up the hashes of those before them, together.
class MomentWriter {
 public:
  MomentWriter(StagingIndex& index, const ManifestStyle& style, const std::function<Status(std::string_view)>& emit)
      : index_(index), xxh3_(style.xxh3), emit_(emit), text_(style) {}

  Status Add(const std::string& path, const Entry& entry) {
    found_.emplace_back(path, entry);
    return found_.size() < kWrittenTogether ? Status() : WriteFound();
  }

  Result<WrittenManifest> End() {
    STAGEFS_RETURN_IF_ERROR(WriteFound());
    STAGEFS_RETURN_IF_ERROR(AwaitWritten());
    text_.End();
    STAGEFS_RETURN_IF_ERROR(emit_(text_.Take()));
    return text_.written();
  }

 private:
  Status AwaitWritten() { return writing_.valid() ? writing_.get() : Status(); }

  Status WriteFound() {
    STAGEFS_RETURN_IF_ERROR(AwaitWritten());
    NoteSteps(static_cast<int64_t>(found_.size()));
    files_.swap(found_);
    found_.clear();
    writing_ = std::async(std::launch::async, [this] { return WriteFiles(); });
    return {};
  }

  Status WriteFiles() {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_.Read());
    std::vector<VersionId> ids;
    for (const auto& [path, entry] : files_) {
      if (entry.kind == EntryKind::kFile) ids.push_back(entry.version);
    }
    STAGEFS_ASSIGN_OR_RETURN(const auto contents, contents_.Of(*reader, ids));
    auto content = contents.begin();
    for (const auto& [path, entry] : files_) {
      text_.Add(path, entry, entry.kind == EntryKind::kFile ? HexOf(*content++, xxh3_) : std::string());
    }
    return text_.size() < kEmitBytes ? Status() : emit_(text_.Take());
  }

  StagingIndex& index_;
  const bool xxh3_;
  const std::function<Status(std::string_view)>& emit_;
  std::vector<std::pair<std::string, Entry>> found_;
  // Of whoever writes.
  ManifestText text_;
  ContentIds contents_;
  std::vector<std::pair<std::string, Entry>> files_;
  std::future<Status> writing_;  // Waits when it goes.
};

// The same made by a reader, with the folders that it is in.
class PagedManifest : public ByteSource {
 public:
  PagedManifest(std::shared_ptr<Repository> repository, const Revision& revision, const ManifestStyle& style)
      : repository_(std::move(repository)), revision_(revision), xxh3_(style.xxh3), text_(style) {}

  // What it begins at.
  Status Open(const RepoPath& path) {
    STAGEFS_ASSIGN_OR_RETURN(const auto tree, RevisionTree::Open(*repository_, revision_));
    STAGEFS_ASSIGN_OR_RETURN(const Located top, tree->Find(path));
    if (top.entry.kind == EntryKind::kFolder) {
      open_.push_back({top.entry.child, path.is_root() ? "" : path.str() + '/'});
      return {};
    }
    STAGEFS_ASSIGN_OR_RETURN(const Hashes hashes, FindHashes(tree->index(), {top.entry.version}, xxh3_));
    text_.Add(path.str(), top.entry, hashes.at(top.entry.version));
    return {};
  }

  Result<size_t> Read(void* data, size_t size_bytes) override {
    while (taken_ == piece_.size() && !ended_) {
      piece_.clear();
      taken_ = 0;
      while (!open_.empty() && text_.size() < kEmitBytes) STAGEFS_RETURN_IF_ERROR(Step());
      ended_ = open_.empty();
      if (ended_) text_.End();
      piece_ = text_.Take();
    }
    const size_t size = std::min(size_bytes, piece_.size() - taken_);
    piece_.copy(static_cast<char*>(data), size, taken_);
    taken_ += size;
    return size;
  }

 private:
  struct OpenFolder {
    FolderId id = 0;
    std::string path;  // "" or with a slash at its end.
    std::vector<Named<Entry>> page{};
    Hashes hashes{};
    size_t at = 0;
    bool end = false;
  };

  Status Step() {
    OpenFolder& top = open_.back();
    if (top.at == top.page.size()) {
      if (!top.end) return ReadPage(&top);
      open_.pop_back();
      return {};
    }
    const Named<Entry>& entry = top.page[top.at++];
    std::string path = top.path + entry.name;
    if (entry.value.kind == EntryKind::kFolder) open_.push_back({entry.value.child, path + '/'});
    else text_.Add(path, entry.value, top.hashes.at(entry.value.version));
    return {};
  }

  Status ReadPage(OpenFolder* folder) {
    STAGEFS_ASSIGN_OR_RETURN(const auto tree, RevisionTree::Open(*repository_, revision_));
    const std::string after = folder->page.empty() ? "" : folder->page.back().name;
    STAGEFS_ASSIGN_OR_RETURN(folder->page, tree->List(folder->id, after, kTogether));
    folder->at = 0;
    folder->end = folder->page.size() < kTogether;
    std::vector<VersionId> ids;
    for (const Named<Entry>& entry : folder->page) {
      if (entry.value.kind == EntryKind::kFile) ids.push_back(entry.value.version);
    }
    STAGEFS_ASSIGN_OR_RETURN(folder->hashes, FindHashes(tree->index(), std::move(ids), xxh3_));
    return {};
  }

  const std::shared_ptr<Repository> repository_;
  const Revision revision_;
  const bool xxh3_;
  ManifestText text_;
  std::vector<OpenFolder> open_;
  std::string piece_;
  size_t taken_ = 0;
  bool ended_ = false;
};

Status CheckStyle(const ManifestStyle& style) {
  const bool is_sum = style.format == ManifestFormat::kSum || style.format == ManifestFormat::kSniff;
  if (is_sum || (!style.bsd_tag && !style.zero)) return {};
  return Error(ErrorCode::kInvalidArgument, "only lines of sums have tags or end in NUL");
}

}  // namespace

Result<ManifestStyle> ManifestStyleOf(const std::string& format, const std::string& hash) {
  const auto refuse = [](const std::string& what, const char* use) {
    return Error(ErrorCode::kInvalidArgument, what + ": use " + use);
  };
  ManifestStyle style;
  if (format == "sum") style.format = ManifestFormat::kSum;
  else if (format == "ndjson") style.format = ManifestFormat::kNdjson;
  else if (format == "json") style.format = ManifestFormat::kJson;
  else if (format == "csv") style.format = ManifestFormat::kCsv;
  else if (format == "tsv") style.format = ManifestFormat::kTsv;
  else return refuse("format " + ToDisplayUtf8(format), "sum, ndjson, json, csv or tsv");
  if (hash != "sha256" && hash != "xxh3") return refuse("hash " + ToDisplayUtf8(hash), "sha256 or xxh3");
  style.xxh3 = hash == "xxh3";
  return style;
}

Result<WrittenManifest> WriteManifest(Repository& repository, const Revision& revision, const RepoPath& path,
                                      const ManifestStyle& style,
                                      const std::function<Status(std::string_view)>& emit) {
  STAGEFS_RETURN_IF_ERROR(CheckStyle(style));
  STAGEFS_ASSIGN_OR_RETURN(const auto tree, RevisionTree::Open(repository, revision));
  STAGEFS_ASSIGN_OR_RETURN(const Located top, tree->Find(path));
  MomentWriter writer(repository.index(), style, emit);
  if (top.entry.kind != EntryKind::kFolder) {
    STAGEFS_RETURN_IF_ERROR(writer.Add(path.str(), top.entry));
  } else {
    STAGEFS_RETURN_IF_ERROR(tree->Walk(top.entry.child, path.str(), [&](const Tree::Walked& at) -> Status {
      return IsFileOrLink(at.entry) ? writer.Add(at.path, at.entry) : Status();
    }));
  }
  return writer.End();
}

Result<std::unique_ptr<ByteSource>> NewManifestSource(std::shared_ptr<Repository> repository, const Revision& revision,
                                                      const RepoPath& path, const ManifestStyle& style) {
  STAGEFS_RETURN_IF_ERROR(CheckStyle(style));
  auto source = std::make_unique<PagedManifest>(std::move(repository), revision, style);
  STAGEFS_RETURN_IF_ERROR(source->Open(path));
  return std::unique_ptr<ByteSource>(std::move(source));
}

}  // namespace stagefs
