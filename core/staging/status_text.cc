#include "stagefs/status_text.h"

#include <map>
#include <nlohmann/json.hpp>

#include "stagefs/status_visit.h"
#include "stagefs/recovered.h"
#include "stagefs/working_copy.h"

namespace stagefs {
namespace {

using Json = nlohmann::json;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json PathJson(const std::string& path) {
  Json json = {{"path", ToDisplayUtf8(path)}};
  if (!IsValidUtf8(path)) json["path_base64"] = Base64(path);
  return json;
}

std::string ShowPath(const std::string& path, bool raw) { return raw ? path : ShowText(path); }

std::string TextLine(const StatusLine& line, bool raw) {
  const bool link = !line.target.empty() && line.kind != StatusLine::Kind::kRemoved;
  const std::string path = ShowPath(line.path, raw) + (link ? " -> " + ShowPath(line.target, raw) : "");
  switch (line.kind) {
    case StatusLine::Kind::kAdded: return "A  " + path + (link ? " (symbolic link)" : "");
    case StatusLine::Kind::kModified: return "M  " + path + (link ? " (symbolic link)" : "");
    case StatusLine::Kind::kRemoved: return "D  " + path;
    case StatusLine::Kind::kRenamed:
      return "R  " + ShowPath(line.renamed_from, raw) + " -> " + path + " (" +
             std::to_string(line.renamed_files) + (line.renamed_files == 1 ? " file)" : " files)");
    case StatusLine::Kind::kScratch: return "?  " + path + " (scratch, never staged)";
    case StatusLine::Kind::kSymlink:
      return "L  " + path + " (symbolic link, not staged: touch -h or rename it to stage it)";
    case StatusLine::Kind::kEmptyFolder: return "E  " + path + "/ (empty folder, not in commits)";
  }
  return path;
}

Status ForEachLine(Workspace& workspace, bool expand, const StatusVisit& visit) {
  return expand ? ForEachChange(workspace, visit) : ForEachStatus(workspace, visit);
}

// Writes the items of one JSON list.
class ListWriter {
 public:
  ListWriter(const char* name, const TextSink& write) : name_(name), write_(write) {}
  Status Add(const Json& item) {
    STAGEFS_RETURN_IF_ERROR(write_(any_ ? ",\n" : std::string("\"") + name_ + "\":[\n"));
    any_ = true;
    return write_(Dump(item));
  }
  Status End() { return write_(any_ ? "]" : std::string("\"") + name_ + "\":[]"); }

 private:
  const char* name_;
  const TextSink& write_;
  bool any_ = false;
};

}  // namespace

std::string ShowText(const std::string& text) {
  const std::string shown = ToDisplayUtf8(text);
  bool plain = true;
  std::string quoted = "\"";
  for (size_t i = 0; i < shown.size(); ++i) {
    const char c = shown[i];
    const auto byte = static_cast<unsigned char>(c);
    const auto next = static_cast<unsigned char>(i + 1 < shown.size() ? shown[i + 1] : 0);
    const bool is_c1 = byte == 0xc2 && next < 0xa0;  // U+0080 to U+009F, in two bytes.
    if (c == '\n') quoted += "\\n";
    else if (c == '\t') quoted += "\\t";
    else if (byte < ' ' || byte == 0x7f || is_c1) quoted += '?';
    else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
      continue;
    }
    if (is_c1) ++i;
    plain = false;
  }
  return plain ? shown : quoted + '"';
}

Status WriteStatusText(Workspace& workspace, const StatusStyle& style, const TextSink& write) {
  const char end = style.zero_ended ? '\0' : '\n';
  STAGEFS_RETURN_IF_ERROR(ForEachLine(workspace, style.expand, [&](const StatusLine& line, IndexReader&) {
    return write(TextLine(line, style.zero_ended) + end);
  }));
  STAGEFS_ASSIGN_OR_RETURN(const auto places, ListWorkingCopyPlaces(workspace.repository()));
  for (const WorkingCopyPlace& place : places) {
    if (place.workspace != workspace.id()) continue;
    const bool refused = place.state == WorkingCopyState::kRefused;
    STAGEFS_RETURN_IF_ERROR(
        write((refused ? "X  " : "W  ") + ShowPath(place.path, style.zero_ended) +
              (refused                                      ? " (refused, not staged: retry or dismiss)"
               : place.state == WorkingCopyState::kClosed ? " (closed, being staged)"
                                                           : " (being written)") +
              end));
  }
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, workspace.Info());
  STAGEFS_ASSIGN_OR_RETURN(const auto recovered, ListRecovered(workspace.repository(), info));
  for (size_t i = 0; i < recovered.size(); ++i) {
    const auto& [name, path] = recovered[i];
    const bool newer = i > 0 && recovered[i - 1].path == path;  // Only its name tells it from the one above.
    STAGEFS_RETURN_IF_ERROR(write("!  " + ShowPath(path, style.zero_ended) + " (recovered after a crash" +
                                  (newer ? " as " + ShowPath(name, style.zero_ended) : "") +
                                  ": retry or dismiss)" + end));
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto of_nobody, ListRecoveredOfNobody(workspace.repository()));
  for (const auto& [folder, files] : of_nobody) {
    STAGEFS_RETURN_IF_ERROR(
        write("!  " + ShowPath(folder, style.zero_ended) + "/ (" + std::to_string(files) +
              " recovered after a crash, of no workspace: copy what you want, then remove it)" + end));
  }
  return {};
}

Status WriteStatusJson(Workspace& workspace, bool expand, const TextSink& write) {
  Repository& repository = workspace.repository();
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, workspace.Info());
  STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> base, reader->GetCommit(info.base));
  reader.reset();
  const Json head = {{"repository", repository.name().ToString()},
                     {"id", info.uid},
                     {"name", info.name ? Json(*info.name) : Json()},
                     {"branch", info.branch},
                     {"base_commit", base ? Json(base->id) : Json()}};
  STAGEFS_RETURN_IF_ERROR(write("{\"workspace\":" + Dump(head) + ",\n"));
  std::map<std::string, int64_t> counts;
  ListWriter staged("staged_entries", write);
  STAGEFS_RETURN_IF_ERROR(ForEachLine(workspace, expand, [&](const StatusLine& line, IndexReader& index) -> Status {
    Json item = PathJson(line.path);
    item["status"] = ToString(line.kind);
    ++counts[std::string(ToString(line.kind))];
    if (line.kind == StatusLine::Kind::kRenamed) {
      item["renamed_from"] = ToDisplayUtf8(line.renamed_from);
      item["files"] = line.renamed_files;
    }
    if (!line.target.empty()) {
      item["target"] = ToDisplayUtf8(line.target);
      if (!IsValidUtf8(line.target)) item["target_base64"] = Base64(line.target);
    }
    if (line.version != 0) {
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, index.GetVersion(line.version));
      if (version) {
        item["sha256"] = ToHex(version->content.sha256);
        item["xxh3"] = ToHex(version->content.xxh3);
      }
      item["size"] = line.size_bytes;
      item["executable"] = line.executable;
      item["mtime"] = FormatTime(line.mtime_ns);
    }
    return staged.Add(item);
  }));
  STAGEFS_RETURN_IF_ERROR(staged.End());
  STAGEFS_ASSIGN_OR_RETURN(const auto places, ListWorkingCopyPlaces(repository));
  for (const auto& [name, refused] : {std::pair("being_written", false), std::pair("refused", true)}) {
    STAGEFS_RETURN_IF_ERROR(write(",\n"));
    ListWriter list(name, write);
    for (const WorkingCopyPlace& place : places) {
      const bool is_refused = place.state == WorkingCopyState::kRefused;
      if (place.workspace != workspace.id() || is_refused != refused) continue;
      STAGEFS_RETURN_IF_ERROR(list.Add(PathJson(place.path)));
      ++counts[name];
    }
    STAGEFS_RETURN_IF_ERROR(list.End());
  }
  STAGEFS_RETURN_IF_ERROR(write(",\n"));
  ListWriter recovered("recovered", write);
  STAGEFS_ASSIGN_OR_RETURN(const auto paths, ListRecovered(repository, info));
  for (const auto& [name, path] : paths) {
    Json item = PathJson(path);
    item["name"] = ToDisplayUtf8(name);
    STAGEFS_RETURN_IF_ERROR(recovered.Add(item));
  }
  STAGEFS_RETURN_IF_ERROR(recovered.End());
  STAGEFS_RETURN_IF_ERROR(write(",\n"));
  ListWriter of_no_workspace("recovered_of_no_workspace", write);
  STAGEFS_ASSIGN_OR_RETURN(const auto of_nobody, ListRecoveredOfNobody(repository));
  for (const auto& [folder, files] : of_nobody) {
    STAGEFS_RETURN_IF_ERROR(of_no_workspace.Add({{"folder", ToDisplayUtf8(folder)}, {"files", files}}));
  }
  STAGEFS_RETURN_IF_ERROR(of_no_workspace.End());
  return write(",\n\"counts\":" + Dump(Json(counts)) + "}\n");
}

}  // namespace stagefs
