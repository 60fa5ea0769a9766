#include "mount/control/text_files.h"

#include "stagefs/counters.h"
#include "stagefs/index_move.h"
#include "stagefs/posix_env.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "stagefs/revision.h"
#include "stagefs/version_source.h"
#include "stagefs/written_manifest.h"

namespace stagefs {
namespace {

constexpr std::string_view kManifest = "manifest.sum";

}  // namespace

const std::vector<TextFiles::Kind>& TextFiles::Kinds() {
  static const std::vector<Kind> kKinds = {{"config.json", false, &TextFiles::Config},
                                           {"last.json", true, &TextFiles::NewestReport},
                                           {"stats", false, &TextFiles::Stats},
                                           {"status", true, &TextFiles::StatusText},
                                           {"status.json", true, &TextFiles::StatusJson}};
  return kKinds;
}

std::vector<std::string> TextFiles::Names() const {
  std::vector<std::string> names = {std::string(kManifest)};
  for (const Kind& kind : Kinds()) {
    if (env_.workspace != nullptr || !kind.of_workspace) names.emplace_back(kind.name);
  }
  return names;
}

Result<std::string> TextFiles::TextOf(const std::string& name) {
  for (const Kind& kind : Kinds()) {
    if (kind.name == name) return (this->*kind.make)();
  }
  return NoSuchName(name);
}

Result<std::unique_ptr<FileHandle>> TextFiles::Open(const std::shared_ptr<Node>& node, int flags) {
  if (WantsToWrite(flags)) return NeverChanges();
  if (node->extra().path == kManifest) {
    return std::make_unique<StreamedHandle>(env_.repository, node, [this] { return Manifest(); });
  }
  STAGEFS_ASSIGN_OR_RETURN(std::string text, TextOf(node->extra().path));
  return std::make_unique<TextHandle>(env_.repository, node, std::move(text));
}

Result<std::unique_ptr<ByteSource>> TextFiles::Manifest() {
  Revision shown;
  if (env_.workspace != nullptr) {
    STAGEFS_ASSIGN_OR_RETURN(shown, RevisionOf(*env_.workspace));
  } else {
    shown.commit = *env_.commit;
  }
  // Outlives what is open in the mount.
  const std::shared_ptr<Repository> repository(std::shared_ptr<void>(), &env_.repository);
  return NewManifestSource(repository, shown, RepoPath(), {});
}

Result<std::string> TextFiles::StatusText() {
  env_.files.StageAllClosed();
  std::string text;
  STAGEFS_RETURN_IF_ERROR(WriteStatusText(*env_.workspace, {}, [&](std::string_view piece) -> Status {
    text += piece;
    return {};
  }));
  return text;
}

Result<std::string> TextFiles::StatusJson() {
  env_.files.StageAllClosed();
  std::string text;
  STAGEFS_RETURN_IF_ERROR(WriteStatusJson(*env_.workspace, false, [&](std::string_view piece) -> Status {
    text += piece;
    return {};
  }));
  return text;
}

Result<std::string> TextFiles::NewestReport() {
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, env_.workspace->Info());
  if (!info.report) return std::string("{}\n");
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, env_.repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> report, reader->GetVersion(*info.report));
  if (!report) return std::string("{}\n");
  STAGEFS_ASSIGN_OR_RETURN(const auto bytes, env_.repository.OpenVersion(*report));
  std::string text(report->size_bytes, '\0');
  STAGEFS_RETURN_IF_ERROR(bytes->ReadAt(text.data(), text.size(), 0).WithoutValue());
  return text;
}

Result<std::string> TextFiles::Config() {
  std::string shows;
  if (env_.workspace != nullptr) {
    STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, env_.workspace->Info());
    shows = "\"workspace\":\"" + info.uid + "\",\"branch\":" + JsonString(info.branch);
  } else {
    shows = "\"commit\":\"" + env_.commit->id + "\"";
  }
  const std::string name = env_.repository.name().ToString();
  const std::string& folder = env_.repository.folder();
  const MountOptions& options = env_.options;
  return "{\"version\":\"" STAGEFS_VERSION "\",\"root\":" +
         JsonString(folder.substr(0, folder.size() - name.size() - 1)) + ",\"repository\":\"" + name +
         "\"," + shows + ",\"read_only\":" + (options.read_only ? "true" : "false") +
         ",\"show_control\":" + (options.show_control ? "true" : "false") +
         ",\"uid\":" + std::to_string(options.uid) + ",\"gid\":" + std::to_string(options.gid) +
         ",\"schema\":" + std::to_string(kSchemaVersion) + "}\n";
}

Result<std::string> TextFiles::Stats() {
  // A deleted workspace is told here, too.
  if (env_.workspace != nullptr) STAGEFS_RETURN_IF_ERROR(env_.workspace->Info().WithoutValue());
  const size_t nodes = env_.nodes.Lock()->size();
  const MountCounters& mount = env_.files.counters();
  std::string text;
  const auto line = [&](const char* name, int64_t value) {
    text += std::string(name) + ": " + std::to_string(value) + '\n';
  };
  line("uptime_seconds", (NowNs() - mount.started_ns) / 1'000'000'000);
  line("operations", mount.operations);
  line("bytes_read", mount.bytes_read);
  line("bytes_written", mount.bytes_written);
  line("files_staged", mount.staged);
  line("files_staged_without_copying", mount.cloned);
  line("inodes", static_cast<int64_t>(nodes));
  line("notifier_lag_ms", Counters().notifier_lag_ms);
  line("index_errors", Counters().index_errors);
  line("s3_errors", Counters().s3_errors);
  line("cache_hits", Counters().cache_hits);
  line("cache_misses", Counters().cache_misses);
  line("cache_bytes", Counters().cache_bytes);
  return text;
}

}  // namespace stagefs
