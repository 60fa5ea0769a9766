// What each route does. A handler gets a request whose target, token, repository and workspace were looked
// at, and returns an answer or why there is none.
#pragma once

#include "call.h"

namespace stagefs {

// The server (server_handlers.cc, metrics.cc).
Reply GetHealth(Call& call);
Reply GetVersion(Call& call);
Reply GetMinVersion(Call& call);
Reply GetOpenApi(Call& call);
Reply ListNamespaces(Call& call);
Reply GetNamespace(Call& call);
Reply DoAction(Call& call);
Reply NotServed(Call& call);
Reply GetMetrics(Call& call);

// Repositories (repository_handlers.cc).
Reply CreateRepository(Call& call);
Reply GetRepository(Call& call);
Reply DeleteRepository(Call& call);

// Branches and merges of them (branch_handlers.cc).
Reply ListBranches(Call& call);
Reply CreateBranch(Call& call);
Reply GetBranch(Call& call);
Reply UpdateBranch(Call& call);
Reply DeleteBranch(Call& call);
Reply GetMergeable(Call& call);
Reply MergeBranches(Call& call);

// Tags (tag_handlers.cc).
Reply ListTags(Call& call);
Reply CreateTag(Call& call);
Reply GetTag(Call& call);
Reply DeleteTag(Call& call);

// Revisions and commits (history_handlers.cc).
Reply GetRevision(Call& call);
Reply GetHistory(Call& call);
Reply GetCommit(Call& call);
Reply CompleteCommit(Call& call);

// What two commits show differently (compare_handlers.cc).
Reply CompareCommits(Call& call);
Reply CompareFolders(Call& call);
Reply CompareEntries(Call& call);
Reply CompareFile(Call& call);

// Files of revisions (file_handlers.cc), and changes of a branch's (file_change_handlers.cc).
Reply ListDirectory(Call& call);
Reply GetEntry(Call& call);
Reply GetFile(Call& call);
Reply GetChunk(Call& call);
Reply ExportZip(Call& call);
Reply GetManifest(Call& call);
Reply PutFiles(Call& call);
Reply DeleteFile(Call& call);
Reply MoveFile(Call& call);

// Workspaces (workspace_handlers.cc), and what is staged in them (changes_handlers.cc).
Reply ListWorkspaces(Call& call);
Reply CreateWorkspace(Call& call);
Reply ClearWorkspaces(Call& call);
Reply GetWorkspace(Call& call);
Reply DeleteWorkspace(Call& call);
Reply GetChanges(Call& call);
Reply UnstagePath(Call& call);
Reply UnstagePaths(Call& call);
Reply CommitWorkspace(Call& call);
Reply GetWorkspaceMergeable(Call& call);

// Files of workspaces: staged (staging_handlers.cc), read, moved, removed (workspace_file_handlers.cc).
// What can be said of a batch before its workspace is looked up.
OrRefusal<> CheckBatch(const Call& call);
Reply StageBatch(Call& call);
Reply StageUpload(Call& call);
Reply ValidateUpload(Call& call);
Reply GetWorkspaceFile(Call& call);
Reply MoveWorkspaceFile(Call& call);
Reply RemoveFiles(Call& call);

// Versions (version_handlers.cc), and uploads of them in pieces (upload_handlers.cc).
Reply PutVersions(Call& call);
Reply GetVersionMetadata(Call& call);
Reply GetVersions(Call& call);
Reply CleanVersions(Call& call);
Reply CreateUpload(Call& call);
Reply PutChunk(Call& call);
Reply CompleteUpload(Call& call);
Reply BeginUpload(Call& call);
Reply PutPart(Call& call);

}  // namespace stagefs
