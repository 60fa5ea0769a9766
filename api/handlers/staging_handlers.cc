// Files staged in a workspace: by hash, or by upload.
#include "form.h"
#include "handlers.h"
#include "spilling_body.h"
#include "stagefs/text.h"
#include "wire/media_type.h"
#include "wire/query.h"
#include "wire/reply.h"
#include "wire/status_bodies.h"
#include "wire/workspace_bodies.h"

namespace stagefs {
namespace {

Result<ManifestOptions> BatchOptions(const Call& call) {
  ManifestOptions options;
  STAGEFS_ASSIGN_OR_RETURN(options.update_timestamp, QueryFlag(call.target, "update_timestamp", false));
  STAGEFS_ASSIGN_OR_RETURN(options.atomic, QueryFlag(call.target, "atomic", false));
  STAGEFS_ASSIGN_OR_RETURN(options.backslash, QueryFlag(call.target, "backslash", false));
  options.path_column = QueryText(call.target, "path_column");
  options.hash_column = QueryText(call.target, "hash_column");
  options.strip_prefix = QueryText(call.target, "strip_prefix");
  return options;
}

Result<RepoPath> StagingPath(const RepoPath& directory, const std::string& filename) {
  auto name = RepoPath::Parse(filename);
  if (name) name = directory.Join(*name);
  if (name) return name;
  return Error(ErrorCode::kInvalidArgument, "Invalid staging path (directory \"" + directory.str() +
                                                "\", file \"" + filename + "\"): " + name.error().message());
}

Result<std::vector<Workspace::NamedVersion>> PlaceFiles(const Form& form, const RepoPath& directory) {
  std::vector<Workspace::NamedVersion> files;
  for (const Form::File& file : form.files) {
    STAGEFS_ASSIGN_OR_RETURN(RepoPath path, StagingPath(directory, file.filename));
    files.push_back({std::move(path), file.version.id});
  }
  return files;
}

// If none was staged the first one's reason is the answer.
Reply StagedReply(const Form& form, const std::vector<Workspace::NamedVersion>& files,
                  const std::vector<Status>& outcomes) {
  std::vector<std::string> paths;
  std::vector<RefusedEntry> refused;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string& path = files[i].path.str();
    if (outcomes[i]) paths.push_back(path);
    else refused.push_back({ToHex(form.files[i].version.content.xxh3), path, outcomes[i].error().message(),
                            outcomes[i].error().code()});
  }
  if (paths.empty() && !refused.empty()) return outcomes[0].error().In(refused[0].path);
  return JsonReply(200, StagedPathsBody(paths, refused));
}

}  // namespace

OrRefusal<> CheckBatch(const Call& call) {
  if (IsForm(call.request)) {
    if (QueryText(call.target, "dry_run") != "true") return {};
    return BadRequest("dry_run is for lists of hashes: what a form brings is stored");
  }
  if (ManifestFormatOf(call.request) == ManifestFormat::kSniff) {
    return BadRequest("Content type error: send application/json, or text/csv, text/tab-separated-values, "
                      "application/x-ndjson");
  }
  const auto bad = [] {
    return BadRequest("Query deserialize error: update_timestamp, atomic, backslash and dry_run are `true` or `false`");
  };
  STAGEFS_RETURN_IF_ERROR(Try(BatchOptions(call)).OnAny(bad));
  STAGEFS_RETURN_IF_ERROR(Try(QueryFlag(call.target, "dry_run", false)).OnAny(bad));
  return {};
}

Reply StageBatch(Call& call) {
  if (IsForm(call.request)) {
    // An upload into a folder that happens to be called `batch`.
    call.rest = call.rest.empty() ? "batch" : "batch/" + call.rest;
    return StageUpload(call);
  }
  if (!IsValidUtf8(call.rest)) return BadRequest("the directory is not UTF-8");
  Workspace::ManifestRequest manifest;
  STAGEFS_ASSIGN_OR_RETURN(manifest.directory, call.Directory());
  manifest.source = call.request.body;
  manifest.format = ManifestFormatOf(call.request);
  STAGEFS_ASSIGN_OR_RETURN(manifest.options, BatchOptions(call));
  STAGEFS_ASSIGN_OR_RETURN(manifest.dry_run, QueryFlag(call.target, "dry_run", false));
  STAGEFS_ASSIGN_OR_RETURN(
      const auto report,
      Try(call.workspace->StageManifest(manifest)).On({ErrorCode::kInvalidArgument}, [&](const Error& error) {
        return BadRequest((manifest.format == ManifestFormat::kJson ? "Json deserialize error: " : "") +
                          error.message());
      }));
  SpillingBody body(call.repository->incoming());
  STAGEFS_RETURN_IF_ERROR(WriteErrFiles(report, [&](std::string_view text) { return body.Write(text); }));
  return body.Finish(report.Withdrawn() ? 422 : 200);
}

Reply StageUpload(Call& call) {
  if (!IsForm(call.request)) {
    return Refuse(415, "bad_request", "Unsupported Media Type", "send multipart/form-data");
  }
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, call.Directory());
  STAGEFS_ASSIGN_OR_RETURN(const Form form, ReadForm(call));
  if (form.files.empty()) return BadRequest("no file: send file[] parts, each with a filename");
  STAGEFS_ASSIGN_OR_RETURN(const auto files, OrBadRequest(PlaceFiles(form, directory)));
  const std::string forced = form.Field("update_timestamp", "");
  StageHow how;
  how.update_timestamp = forced == "true" || forced == "1";
  STAGEFS_ASSIGN_OR_RETURN(const auto outcomes, call.workspace->StageVersions(files, how));
  return StagedReply(form, files, outcomes);
}

Reply ValidateUpload(Call&) { return StatusReply(kFound); }

}  // namespace stagefs
