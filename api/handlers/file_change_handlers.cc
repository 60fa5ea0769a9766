// Files of a branch: put, removed, moved, each request in one commit.
#include "form.h"
#include "handlers.h"
#include "revision_path.h"
#include "stagefs/history.h"
#include "view_of.h"
#include "wire/history_bodies.h"
#include "wire/media_type.h"
#include "wire/reply.h"
#include "wire/requests.h"
#include "wire/status_bodies.h"

namespace stagefs {
namespace {

using Changes = std::vector<History::PathChange>;

// Whom and what the fields of a form name, or `message`.
NewCommit CommitOf(const Form& form, const std::string& message) {
  return {form.Field("message", message), {form.Field("name", "Oxen"), form.Field("email", "oxen@oxen.ai")}};
}

Reply CommitReply(Call& call, std::string_view message, const std::string& branch, const Changes& changes,
                  const NewCommit& wanted) {
  STAGEFS_ASSIGN_OR_RETURN(const auto commit,
                           History(*call.repository).CommitPaths(branch, changes, wanted.message, wanted.author));
  if (!commit) {
    return Refuse(422, "no_changes", "No changes to commit",
                  "the branch has this content at this path already");
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const CommitView view, ViewOf(*reader, *commit));
  return JsonReply(200, CommitBody(message, view));
}

// Where the files of an upload go. One `file` is the whole target, or goes into it if it is a folder.
Result<Changes> PlaceFiles(const Form& form, const BranchPath& at, bool is_folder) {
  Changes changes;
  bool single = false, several = false;
  for (const Form::File& file : form.files) {
    const bool whole = file.field == "file";
    (whole ? single : several) = true;
    if (single && (several || changes.size() == 1)) {
      return Error(ErrorCode::kInvalidArgument, "send one `file`, or any number of `files[]`, not both");
    }
    RepoPath path = at.path;
    if (!whole || is_folder) {
      STAGEFS_ASSIGN_OR_RETURN(const RepoPath name, RepoPath::Parse(file.filename));
      STAGEFS_ASSIGN_OR_RETURN(path, at.path.Join(name));
    }
    changes.push_back({std::move(path), file.version.id, std::nullopt});
  }
  if (changes.empty()) return Error(ErrorCode::kInvalidArgument, "no file: send `file` or `files[]`");
  return changes;
}

// As a form would have them.
Result<Form> FieldsOf(const WireObject& body) {
  Form form;
  for (const char* key : {"message", "name", "email"}) {
    STAGEFS_ASSIGN_OR_RETURN(const auto value, body.OptionalText(key));
    if (value) form.fields[key] = *value;
  }
  return form;
}

}  // namespace

Reply PutFiles(Call& call) {
  if (!IsForm(call.request)) return BadRequest("send multipart/form-data");
  STAGEFS_ASSIGN_OR_RETURN(const BranchPath target, FindBranchPath(call));
  bool is_folder = target.path.is_root();
  if (const auto found = FindPath(call)) is_folder = is_folder || found->is_folder();
  STAGEFS_ASSIGN_OR_RETURN(const Form form, ReadForm(call));
  STAGEFS_ASSIGN_OR_RETURN(const Changes changes, OrBadRequest(PlaceFiles(form, target, is_folder)));
  return CommitReply(call, kCreated, target.branch, changes,
                     CommitOf(form, "Auto-commit files to " + target.path.str()));
}

Reply DeleteFile(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const BranchPath target, FindBranchPath(call));
  STAGEFS_RETURN_IF_ERROR(FindPath(call));
  if (target.path.is_root()) return BadRequest("the whole tree is not removed this way");
  Form form;
  if (IsForm(call.request)) {
    STAGEFS_ASSIGN_OR_RETURN(form, ReadForm(call));
  }
  return CommitReply(call, kDeleted, target.branch, {{target.path, std::nullopt, std::nullopt}},
                     CommitOf(form, "Removed '" + target.path.str() + "'"));
}

Reply MoveFile(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const BranchPath target, FindBranchPath(call));
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, call.Text());
  STAGEFS_ASSIGN_OR_RETURN(const Move move, OrBadStatus(ReadMove(text)));
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath to, OrBadRequest(RepoPath::Parse(move.to)));
  {
    STAGEFS_ASSIGN_OR_RETURN(const FoundPath found, FindPath(call));
    if (target.path.is_root()) return BadRequest("the whole tree is not moved");
    if (found.tree->Find(to)) return BadStatus(400, "new_path already exists in the repository");
  }
  STAGEFS_ASSIGN_OR_RETURN(const Form fields, OrBadStatus(FieldsOf(move.body)));
  return CommitReply(call, kUpdated, target.branch, {{target.path, std::nullopt, to}},
                     CommitOf(fields, "Moved '" + target.path.str() + "' to '" + to.str() + "'"));
}

}  // namespace stagefs
