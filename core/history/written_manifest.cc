#include "stagefs/written_manifest.h"

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "stagefs/text.h"
#include "stagefs/work_progress.h"
#include "versions_of.h"

namespace stagefs {
namespace {

constexpr size_t kTogether = 1024;
constexpr size_t kEmitBytes = 64 << 10;

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

class Writer {
 public:
  Writer(IndexReader& index, const ManifestStyle& style, const std::function<Status(std::string_view)>& emit)
      : index_(index), style_(style), emit_(emit) {}

  void Begin() {
    if (style_.format == ManifestFormat::kJson) text_ += "[";
    if (style_.format == ManifestFormat::kCsv) text_ += "path,hash\n";
    if (style_.format == ManifestFormat::kTsv) text_ += "\"path\"\t\"hash\"\n";  // Quotes count in what follows.
  }

  Status Add(const std::string& path, const Entry& entry) {
    files_.push_back({path, entry});
    return files_.size() < kTogether ? Status() : WriteFiles();
  }

  Result<WrittenManifest> End() {
    STAGEFS_RETURN_IF_ERROR(WriteFiles());
    if (style_.format == ManifestFormat::kJson) text_ += written_.files == 0 ? "]\n" : "\n]\n";
    STAGEFS_RETURN_IF_ERROR(emit_(text_));
    return written_;
  }

 private:
  struct File {
    std::string path;
    Entry entry;
  };

  Status WriteFiles() {
    STAGEFS_RETURN_IF_ERROR(FindHashes());
    for (const File& file : files_) {
      WriteLine(file, hashes_.at(file.entry.version));
      ++written_.files;
    }
    NoteSteps(static_cast<int64_t>(files_.size()));
    files_.clear();
    if (text_.size() < kEmitBytes) return {};
    STAGEFS_RETURN_IF_ERROR(emit_(text_));
    text_.clear();
    return {};
  }

  // Of all versions of `files_`.
  Status FindHashes() {
    std::vector<VersionId> ids;
    for (const File& file : files_) ids.push_back(file.entry.version);
    STAGEFS_ASSIGN_OR_RETURN(const auto versions, VersionsOf(index_, std::move(ids)));
    hashes_.clear();
    for (const auto& [id, version] : versions) hashes_[id] = HexOf(version);
    return {};
  }

  std::string HexOf(const VersionInfo& version) const {
    if (!style_.xxh3) return ToHex(version.content.sha256);
    std::string hex = ToHex(version.content.xxh3);  // Without the zeros that xxhsum wants.
    return hex.insert(0, 2 * sizeof(Xxh3) - hex.size(), '0');
  }

  void WriteLine(const File& file, const std::string& hash) {
    if (file.entry.executable && !IsJson()) ++written_.executables;
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
             ",\"size\":" + std::to_string(file.entry.size_bytes) + ",\"mtime\":\"" + ExactTime(file.entry.mtime_ns) +
             (file.entry.executable ? "\",\"executable\":true}" : "\"}");
  }

  void WriteCells(const std::string& path, const std::string& hash, char between) {
    const bool plain = path.find_first_of("\",\t\r\n") == std::string::npos && !path.starts_with(' ') &&
                       !path.ends_with(' ');
    text_ += (plain ? path : Quoted(path)) + between + hash + '\n';
  }

  IndexReader& index_;
  const ManifestStyle style_;
  const std::function<Status(std::string_view)>& emit_;
  std::vector<File> files_;
  std::unordered_map<VersionId, std::string> hashes_;
  std::string text_;
  WrittenManifest written_;
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
  Writer writer(tree->index(), style, emit);
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
