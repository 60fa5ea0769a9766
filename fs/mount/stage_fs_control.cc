// The control folder: .stagefs/versions, inbox, base, recovered, and the texts.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "stage_fs.h"
#include "stagefs/counters.h"
#include "stagefs/posix_env.h"
#include "stagefs/status_text.h"
#include "stagefs/inbox.h"
#include "stagefs/version_source.h"

namespace stagefs {
namespace {

constexpr size_t kListPage = 512;

struct ControlName {
  std::string_view name;
  NodeKind kind;
};
constexpr std::array<ControlName, 10> kControlNames = {{{"base", NodeKind::kBaseFolder},
                                                        {"config.json", NodeKind::kText},
                                                        {"control", NodeKind::kCommand},
                                                        {"inbox", NodeKind::kInboxFolder},
                                                        {"last.json", NodeKind::kText},
                                                        {"recovered", NodeKind::kRecoveredFolder},
                                                        {"stats", NodeKind::kText},
                                                        {"status", NodeKind::kText},
                                                        {"status.json", NodeKind::kText},
                                                        {"versions", NodeKind::kVersionsFolder}}};

// Whether a name that is not there yet is more likely a manifest that is about to be written than a folder.
// Folders that exist in the workspace are known; for new ones mkdir works too.
bool LooksLikeManifest(const std::string& name) {
  std::string upper;
  for (const char c : name) upper += static_cast<char>(toupper(static_cast<unsigned char>(c)));
  return name.find('.') != std::string::npos || upper.ends_with("SUMS") || upper.ends_with("SUM") ||
         name == "MANIFEST" || name.ends_with('~') || name == "4913";
}

}  // namespace

Result<std::shared_ptr<Node>> StageFs::ControlChild(const Node& parent, const std::string& name) {
  const auto missing = [&] { return Error(ErrorCode::kNotFound, name); };
  switch (parent.kind) {
    case NodeKind::kFolder: {
      auto table = table_.Lock();
      return table->FindOrAddControl("c", NodeKind::kControlFolder);
    }
    case NodeKind::kControlFolder: {
      const auto known = std::find_if(kControlNames.begin(), kControlNames.end(),
                                      [&](const ControlName& entry) { return entry.name == name; });
      if (known == kControlNames.end()) return missing();
      auto table = table_.Lock();
      auto node = table->FindOrAddControl("c:" + name, known->kind);
      if (known->kind == NodeKind::kText) node->MakeExtra().path = name;
      if (known->kind == NodeKind::kBaseFolder) node->SetEntry(Entry::OfFolder(kRootFolder));
      return node;
    }
    case NodeKind::kVersionsFolder: {
      const auto version = repository_.FindVersion(name);
      if (!version) return missing();
      auto table = table_.Lock();
      auto node = table->FindOrAddControl("v:" + std::to_string(version->id), NodeKind::kVersion);
      node->SetEntry(Entry::OfFile(version->id, version->size_bytes, version->stored_ns));
      return node;
    }
    case NodeKind::kInboxFolder: {
      STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(parent.extra().path));
      STAGEFS_ASSIGN_OR_RETURN(const auto file, Inbox(*behind_).LookUp(directory, name));
      const ControlKey file_key = "i:" + parent.extra().path + '\0' + name;
      {
        auto table = table_.Lock();
        const auto writing = table->FindControl(file_key);
        if (writing && writing->open()) return writing;
        if (file) {
          auto node = table->FindOrAddControl(file_key, NodeKind::kInboxFile);
          node->MakeExtra().path = parent.extra().path;
          node->slot = {0, name};
          node->attached = true;
          node->SetEntry(Entry::OfFile(file->version, file->size_bytes, file->mtime_ns));
          return node;
        }
      }
      STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(JoinPath(parent.extra().path, name)));
      const auto in_tree = workspace_->tree().Find(path);
      const bool folder = in_tree ? in_tree->entry.kind == EntryKind::kFolder : !LooksLikeManifest(name);
      auto table = table_.Lock();
      if (!folder && !made_inbox_folders_.Lock()->contains(path.str())) return missing();
      auto node = table->FindOrAddControl("f:" + path.str(), NodeKind::kInboxFolder);
      node->MakeExtra().path = path.str();
      return node;
    }
    case NodeKind::kBaseFolder: {
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry,
                               workspace_->base().LookUp({parent.folder(), name}));
      if (!entry) return missing();
      auto table = table_.Lock();
      const bool folder = entry->kind == EntryKind::kFolder;
      auto node = folder ? table->FindOrAddControl("b:" + std::to_string(entry->child), NodeKind::kBaseFolder)
                         : table->FindOrAddControl("b:" + std::to_string(parent.folder()) + '/' + name + '/' +
                                                       std::to_string(entry->version),
                                                   NodeKind::kBaseFile);
      node->SetEntry(*entry);
      return node;
    }
    case NodeKind::kRecoveredFolder: {
      STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, workspace_->Info());
      const std::string path = JoinPath(parent.extra().path, name);
      struct stat found {};
      if (lstat((RecoveredFolder(repository_, info) + '/' + path).c_str(), &found) != 0) return missing();
      auto table = table_.Lock();
      auto node = table->FindOrAddControl(
          "r:" + path, S_ISDIR(found.st_mode) ? NodeKind::kRecoveredFolder : NodeKind::kRecoveredFile);
      node->MakeExtra().path = path;
      node->SetEntry(Entry::OfFile(0, static_cast<uint64_t>(found.st_size), ToNs(found.st_mtim)));
      return node;
    }
    case NodeKind::kFile:
    case NodeKind::kSymlink:
    case NodeKind::kVersion:
    case NodeKind::kInboxFile:
    case NodeKind::kBaseFile:
    case NodeKind::kRecoveredFile:
    case NodeKind::kText:
    case NodeKind::kCommand: break;
  }
  return Error(ErrorCode::kNotDirectory, name);
}

Result<LookedUp> StageFs::LookUpControl(const Node& parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, ControlChild(parent, name));
  {
    auto table = table_.Lock();
    ++node->lookups;
  }
  // A version never changes, and the folders at the top are always there; whatever else is here may change
  // behind the kernel's back.
  const Attributes attributes = AttributesNow(node);
  const bool fixed = node->kind == NodeKind::kVersion || parent.kind == NodeKind::kFolder ||
                     (parent.kind == NodeKind::kControlFolder && attributes.type == S_IFDIR);
  return LookedUp{attributes, fixed};
}

Result<std::vector<Handle::Listed>> StageFs::ListControl(const Node& node, const std::string& after,
                                                         bool* end) {
  std::vector<Handle::Listed> page;
  const auto add = [&](std::string name, NodeKind kind, Entry entry = {}) {
    if (name > after) page.push_back({std::move(name), kind, std::move(entry)});
  };
  *end = true;
  switch (node.kind) {
    case NodeKind::kControlFolder:
      for (const ControlName& known : kControlNames) add(std::string(known.name), known.kind);
      break;
    case NodeKind::kVersionsFolder: {
      std::optional<Sha256> from;
      if (const auto ref = HashRef::Parse("sha256:" + after); ref && !after.empty()) from = *ref->sha256();
      STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
      STAGEFS_ASSIGN_OR_RETURN(const auto versions, reader->ListVersions(from, kListPage));
      for (const VersionInfo& version : versions) add(ToHex(version.content.sha256), NodeKind::kVersion);
      *end = versions.size() < kListPage;
      break;
    }
    case NodeKind::kInboxFolder: {
      STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(node.extra().path));
      STAGEFS_ASSIGN_OR_RETURN(const auto files, Inbox(*behind_).List(directory));
      for (const InboxFile& file : files) add(file.name, NodeKind::kInboxFile);
      break;
    }
    case NodeKind::kBaseFolder: {
      STAGEFS_ASSIGN_OR_RETURN(const auto entries,
                               workspace_->base().List(node.folder(), after, kListPage));
      for (const auto& [name, entry] : entries) {
        add(name, entry.kind == EntryKind::kFolder ? NodeKind::kBaseFolder : NodeKind::kBaseFile, entry);
      }
      *end = entries.size() < kListPage;
      break;
    }
    case NodeKind::kRecoveredFolder: {
      STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, workspace_->Info());
      STAGEFS_ASSIGN_OR_RETURN(const auto paths, ListRecovered(repository_, info));
      const std::string prefix = node.extra().path.empty() ? "" : node.extra().path + '/';
      for (const std::string& path : paths) {
        if (!path.starts_with(prefix)) continue;
        const std::string rest = path.substr(prefix.size());
        const size_t slash = rest.find('/');
        const std::string name = rest.substr(0, slash);
        if (!page.empty() && page.back().name == name) continue;
        add(name, slash == std::string::npos ? NodeKind::kRecoveredFile : NodeKind::kRecoveredFolder);
      }
      break;
    }
    case NodeKind::kFolder:
    case NodeKind::kFile:
    case NodeKind::kSymlink:
    case NodeKind::kVersion:
    case NodeKind::kInboxFile:
    case NodeKind::kBaseFile:
    case NodeKind::kRecoveredFile:
    case NodeKind::kText:
    case NodeKind::kCommand: return Error(ErrorCode::kNotDirectory, "not a folder");
  }
  return page;
}

Result<std::string> StageFs::TextOf(const Node& node) {
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, workspace_->Info());
  std::string text;
  const auto append = [&](std::string_view piece) -> Status {
    text += piece;
    return {};
  };
  if (node.extra().path == "status") {
    STAGEFS_RETURN_IF_ERROR(WriteStatusText(*workspace_, {}, append));
  } else if (node.extra().path == "status.json") {
    STAGEFS_RETURN_IF_ERROR(WriteStatusJson(*workspace_, false, append));
  } else if (node.extra().path == "last.json") {
    if (!info.report) return std::string("{}\n");
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> report, reader->GetVersion(*info.report));
    if (!report) return std::string("{}\n");
    STAGEFS_ASSIGN_OR_RETURN(const auto bytes, repository_.OpenVersion(*report));
    text.resize(report->size_bytes);
    STAGEFS_RETURN_IF_ERROR(bytes->ReadAt(text.data(), text.size(), 0).WithoutValue());
  } else if (node.extra().path == "config.json") {
    const std::string name = repository_.name().ToString();
    const std::string& folder = repository_.folder();
    return "{\"version\":\"" STAGEFS_VERSION "\",\"root\":" +
           JsonString(folder.substr(0, folder.size() - name.size() - 1)) + ",\"repository\":\"" + name +
           "\",\"workspace\":\"" + info.uid + "\",\"branch\":" + JsonString(info.branch) +
           ",\"read_only\":" + (options_.read_only ? "true" : "false") +
           ",\"show_control\":" + (options_.show_control ? "true" : "false") +
           ",\"uid\":" + std::to_string(options_.uid) + ",\"gid\":" + std::to_string(options_.gid) +
           ",\"schema\":" + std::to_string(kSchemaVersion) + "}\n";
  } else {
    size_t nodes = 0;
    {
      auto table = table_.Lock();
      nodes = table->size();
    }
    const auto line = [&](const char* name, int64_t value) {
      text += std::string(name) + ": " + std::to_string(value) + '\n';
    };
    line("uptime_seconds", (NowNs() - started_ns_) / 1'000'000'000);
    line("operations", operations_);
    line("bytes_read", bytes_read_);
    line("bytes_written", bytes_written_);
    line("files_staged", staged_);
    line("files_staged_without_copying", cloned_);
    line("inodes", static_cast<int64_t>(nodes));
    line("notifier_lag_ms", Counters().notifier_lag_ms);
    line("index_errors", Counters().index_errors);
    line("s3_errors", Counters().s3_errors);
    line("cache_hits", Counters().cache_hits);
    line("cache_misses", Counters().cache_misses);
    line("cache_bytes", Counters().cache_bytes);
  }
  return text;
}

Result<std::shared_ptr<SharedFd>> StageFs::OpenBytes(const Node& node) {
  if (node.kind == NodeKind::kRecoveredFile) {
    STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, workspace_->Info());
    const int fd = open((RecoveredFolder(repository_, info) + '/' + node.extra().path).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ErrnoError("open recovered file");
    return std::make_shared<SharedFd>(fd);
  }
  VersionId id = 0;
  {
    auto table = table_.Lock();
    id = node.entry().version;
  }
  OpenFile file({repository_, *workspace_, *copies_}, Entry::OfFile(id, 0, 0));
  return file.ForReading();
}

Status StageFs::RenameInInbox(const Node& from, const std::string& name, const Node& to,
                              const std::string& new_name) {
  if (from.kind != NodeKind::kInboxFolder || to.kind != NodeKind::kInboxFolder) {
    // mv falls back to a copy, which works in both directions.
    return Error(ErrorCode::kCrossDevice, "copy it instead");
  }
  STAGEFS_RETURN_IF_ERROR(CheckEntryName(new_name));
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(from.extra().path));
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath target, RepoPath::ParseDirectory(to.extra().path));
  std::shared_ptr<Node> node;
  {
    auto table = table_.Lock();
    node = table->FindControl("i:" + from.extra().path + '\0' + name);
  }
  if (const auto file = FileOf(node)) {
    std::lock_guard lock(file->mutex());
    STAGEFS_RETURN_IF_ERROR(StageIfWaiting(node, *file));
  }
  STAGEFS_RETURN_IF_ERROR(Inbox(*behind_).Rename(directory, name, target, new_name));
  {
    auto table = table_.Lock();
    if (node) table->Rekey(node, "i:" + to.extra().path + '\0' + new_name);
    if (node) {
      node->MakeExtra().path = to.extra().path;
      node->slot.name = new_name;
    }
  }
  WakeWorker();
  return {};
}

// Lines of .stagefs/control: `retry PATH`, `dismiss PATH`, `sync`.
Status StageFs::RunCommand(const std::string& line) {
  if (line == "sync") return repository_.SyncAll();
  const size_t space = line.find(' ');
  const std::string verb = line.substr(0, space);
  if ((verb != "retry" && verb != "dismiss") || space == std::string::npos) {
    return Error(ErrorCode::kInvalidArgument, "unknown command: use 'retry PATH', 'dismiss PATH' or 'sync'");
  }
  const std::string path = line.substr(space + 1);
  std::vector<std::shared_ptr<Node>> nodes;
  {
    auto table = table_.Lock();
    nodes = table->All();
  }
  for (const auto& node : nodes) {
    const auto file = FileOf(node);
    if (!file) continue;
    const auto place = PlaceOf(*node);
    if (!place || place->path != path) continue;
    std::unique_lock lock(file->mutex());
    if (!file->refused()) continue;
    if (verb == "retry") {
      file->ForgetRefusal();
      STAGEFS_RETURN_IF_ERROR(StageNode(node, *file));
      if (IsManifestNode(*node)) STAGEFS_RETURN_IF_ERROR(StageManifestOf(*node));
    } else {
      file->Detach();
      if (node->kind == NodeKind::kFile) ShowStagedAgain(node);
    }
    auto table = table_.Lock();
    if (file->handles == 0) table->SetOpen(node, nullptr);
    table->DropIfUnused(node);
    return {};
  }
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, workspace_->Info());
  return verb == "retry" ? RetryRecovered(repository_, info, path)
                         : DismissRecovered(repository_, info, path);
}

}  // namespace stagefs
