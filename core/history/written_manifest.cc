#include "stagefs/written_manifest.h"

#include <algorithm>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "stagefs/text.h"
#include "stagefs/work_progress.h"

namespace stagefs {
namespace {

constexpr size_t kTogether = 4096;
constexpr size_t kEmitBytes = 64 << 10;
// Versions are read in one go where at most so many times as many lie between them.
constexpr int64_t kSparseMax = 4;

// "2026-11-20T15:04:05.123456789Z".
std::string ExactTime(int64_t time_ns) {
  const int64_t part_ns = (time_ns % 1'000'000'000 + 1'000'000'000) % 1'000'000'000;
  const std::string fraction = std::to_string(1'000'000'000 + part_ns);
  std::string text = FormatTime(time_ns);
  return text.substr(0, text.find('.') + 1) + fraction.substr(1) + 'Z';
}

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

// Files are found by the caller's thread while those before them are written by another one.
class Writer {
 public:
  Writer(StagingIndex& index, const ManifestStyle& style, const std::function<Status(std::string_view)>& emit)
      : index_(index), style_(style), emit_(emit) {}

  void Begin() {
    if (style_.format == ManifestFormat::kJson) text_ += "[";
    if (style_.format == ManifestFormat::kCsv) text_ += "path,hash\n";
    if (style_.format == ManifestFormat::kTsv) text_ += "\"path\"\t\"hash\"\n";  // Quotes count in what follows.
  }

  Status Add(const std::string& path, const Entry& entry) {
    found_.push_back({path, entry.version, entry.size_bytes, entry.mtime_ns, entry.executable});
    return found_.size() < kTogether ? Status() : WriteFound();
  }

  Result<WrittenManifest> End() {
    STAGEFS_RETURN_IF_ERROR(WriteFound());
    STAGEFS_RETURN_IF_ERROR(AwaitWritten());
    if (style_.format == ManifestFormat::kJson) text_ += written_.files == 0 ? "]\n" : "\n]\n";
    STAGEFS_RETURN_IF_ERROR(emit_(text_));
    return written_;
  }

 private:
  struct File {
    std::string path;
    VersionId version = 0;
    uint64_t size_bytes = 0;
    int64_t mtime_ns = 0;
    bool executable = false;
  };

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
    STAGEFS_RETURN_IF_ERROR(FindHashes());
    for (const File& file : files_) {
      const auto at = std::lower_bound(hashes_.begin(), hashes_.end(), file.version,
                                       [](const auto& known, VersionId version) { return known.first < version; });
      WriteLine(file, at->second);
      ++written_.files;
    }
    if (text_.size() < kEmitBytes) return {};
    STAGEFS_RETURN_IF_ERROR(emit_(text_));
    text_.clear();
    return {};
  }

  // Of all versions of `files_`, in their order.
  Status FindHashes() {
    std::vector<VersionId> ids;
    for (const File& file : files_) ids.push_back(file.version);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    hashes_.clear();
    if (ids.empty()) return {};
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_.Read());
    const int64_t span = ids.back() - ids.front() + 1;
    std::vector<VersionInfo> versions;
    if (span <= kSparseMax * static_cast<int64_t>(ids.size())) {
      STAGEFS_ASSIGN_OR_RETURN(versions, reader->ListVersionsFrom(ids.front(), static_cast<size_t>(span)));
    }
    auto listed = versions.begin();
    for (const VersionId id : ids) {
      while (listed != versions.end() && listed->id < id) ++listed;
      std::optional<VersionInfo> version;
      if (listed != versions.end() && listed->id == id) version = *listed;
      if (!version && versions.empty()) {
        STAGEFS_ASSIGN_OR_RETURN(version, reader->GetVersion(id));
      }
      if (!version) return Error(ErrorCode::kCorrupt, "a tree names a version that is gone: run stagefs fsck");
      hashes_.emplace_back(id, HexOf(*version));
    }
    return {};
  }

  std::string HexOf(const VersionInfo& version) const {
    if (!style_.xxh3) return ToHex(version.content.sha256);
    std::string hex = ToHex(version.content.xxh3);  // Without the zeros that xxhsum wants.
    return hex.insert(0, 2 * sizeof(Xxh3) - hex.size(), '0');
  }

  void WriteLine(const File& file, const std::string& hash) {
    if (file.executable && !IsJson()) ++written_.executables;
    switch (style_.format) {
      case ManifestFormat::kJson:
        text_ += written_.files == 0 ? "\n" : ",\n";
        WriteObject(file, hash);
        return;
      case ManifestFormat::kNdjson:
        WriteObject(file, hash);
        text_ += '\n';
        return;
      case ManifestFormat::kCsv: WriteCells(file.path, hash, ','); return;
      case ManifestFormat::kTsv: WriteCells(file.path, hash, '\t'); return;
      case ManifestFormat::kSniff:
      case ManifestFormat::kSum: WriteSum(file.path, hash); return;
    }
  }

  bool IsJson() const { return style_.format == ManifestFormat::kJson || style_.format == ManifestFormat::kNdjson; }

  void WriteSum(const std::string& path, const std::string& hash) {
    const size_t begin = text_.size();
    text_ += style_.bsd_tag ? (style_.xxh3 ? "XXH128 (" : "SHA256 (") : hash + "  ";
    bool escaped = false;
    if (style_.zero) text_ += path;
    else escaped = EscapeName(path, &text_);
    if (style_.bsd_tag) text_ += ") = " + hash;
    text_ += style_.zero ? '\0' : '\n';
    if (escaped) text_.insert(begin, 1, '\\');
  }

  void WriteObject(const File& file, const std::string& hash) {
    text_ += "{\"hash\":\"" + hash + "\"," + JsonPath("path", file.path) +
             ",\"size\":" + std::to_string(file.size_bytes) + ",\"mtime\":\"" + ExactTime(file.mtime_ns) +
             (file.executable ? "\",\"executable\":true}" : "\"}");
  }

  void WriteCells(const std::string& path, const std::string& hash, char between) {
    const bool plain = path.find_first_of("\",\t\r\n") == std::string::npos && !path.starts_with(' ') &&
                       !path.ends_with(' ');
    text_ += (plain ? path : Quoted(path)) + between + hash + '\n';
  }

  StagingIndex& index_;
  const ManifestStyle style_;
  const std::function<Status(std::string_view)>& emit_;
  std::vector<File> found_;
  // Of whoever writes.
  std::vector<File> files_;
  std::vector<std::pair<VersionId, std::string>> hashes_;
  std::string text_;
  WrittenManifest written_;
  std::future<Status> writing_;  // Waits when it goes.
};

}  // namespace

Result<WrittenManifest> WriteManifest(Repository& repository, const Revision& revision, const RepoPath& path,
                                      const ManifestStyle& style,
                                      const std::function<Status(std::string_view)>& emit) {
  const bool is_sum = style.format == ManifestFormat::kSum || style.format == ManifestFormat::kSniff;
  if (!is_sum && (style.bsd_tag || style.zero)) {
    return Error(ErrorCode::kInvalidArgument, "only lines of sums have tags or end in NUL");
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto tree, RevisionTree::Open(repository, revision));
  STAGEFS_ASSIGN_OR_RETURN(const Located top, tree->Find(path));
  Writer writer(repository.index(), style, emit);
  writer.Begin();
  if (top.entry.kind == EntryKind::kFile) {
    STAGEFS_RETURN_IF_ERROR(writer.Add(path.str(), top.entry));
  } else {
    STAGEFS_RETURN_IF_ERROR(tree->Walk(top.entry.child, path.str(), [&](const Tree::Walked& at) -> Status {
      return at.entry.kind == EntryKind::kFile ? writer.Add(at.path, at.entry) : Status();
    }));
  }
  return writer.End();
}

}  // namespace stagefs
