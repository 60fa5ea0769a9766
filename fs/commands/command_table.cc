#include "command_table.h"

namespace stagefs {

// Which file makes which.
using Make = std::unique_ptr<Command>();
Make NewCreate, NewMigrate, NewList, NewDelete;                       // repository.cc
Make NewBranchList, NewBranchCreate, NewBranchDelete, NewBranchMerge;  // branch.cc
Make NewTagList, NewTagCreate, NewTagDelete;                          // tag.cc
Make NewWorkspaceCreate, NewWorkspaceList, NewWorkspaceDelete;        // workspace.cc
Make NewPut, NewImportOxen;                                           // put.cc
Make NewStage, NewRemove, NewUnstage;                                 // stage.cc
Make NewStatus;                                                       // status.cc
Make NewDiff, NewShow;                                                // diff.cc
Make NewManifest, NewMissing;                                         // manifest.cc
Make NewCheckout;                                                     // checkout.cc
Make NewRestore, NewTakenBack, NewRevert, NewMove;                    // restore.cc
Make NewCommit, NewRebase, NewLog;                                    // commit.cc
Make NewLs, NewPrefetch;                                              // tree.cc
Make NewRetry, NewDismiss, NewSync;                                   // recovery.cc
Make NewFsck, NewDoctor, NewGc;                                       // upkeep.cc
Make NewMount, NewUnmount;                                            // mount.cc
Make NewServe;                                                        // serve.cc
Make NewTokenCreate;                                                  // token.cc
Make NewHelp;                                                         // help.cc

namespace {

constexpr bool kNeedsServer = true;

constexpr CommandRow kTable[] = {
    {"create", NewCreate, "Create a repository", "stagefs create team/images"},
    {"migrate", NewMigrate, "Move a repository's index (--index), its versions (--versions) or both",
     "stagefs migrate team/images --index postgresql://db/stagefs --versions s3://bucket"},
    {"list", NewList, "List repositories", "stagefs list"},
    {"delete", NewDelete, "Delete a repository with everything in it", "stagefs delete team/images"},

    {"branch", nullptr, "List, create and delete branches", "stagefs branch list team/images"},
    {"branch list", NewBranchList, "List branches and their commits", "stagefs branch list team/images"},
    {"branch create", NewBranchCreate, "Create a branch", "stagefs branch create team/images relabel --from main"},
    {"branch delete", NewBranchDelete, "Delete a branch", "stagefs branch delete team/images relabel"},
    {"branch merge", NewBranchMerge, "Bring what a branch or commit changed into a branch",
     "stagefs branch merge team/images main relabel"},

    {"tag", nullptr, "List, create and delete tags: names of commits that never move", "stagefs tag list team/images"},
    {"tag list", NewTagList, "List tags and their commits", "stagefs tag list team/images"},
    {"tag create", NewTagCreate, "Name a commit for good",
     "stagefs tag create team/images@main v1.0 -m 'As trained on'"},
    {"tag delete", NewTagDelete, "Delete a tag", "stagefs tag delete team/images v1.0"},

    {"workspace", nullptr, "Create, list and delete workspaces", "stagefs workspace list team/images"},
    {"workspace create", NewWorkspaceCreate, "Create a workspace on a branch and print its id",
     "stagefs workspace create team/images:relabel"},
    {"workspace list", NewWorkspaceList, "List workspaces", "stagefs workspace list team/images"},
    {"workspace delete", NewWorkspaceDelete, "Delete a workspace and what is staged in it",
     "stagefs workspace delete team/images:relabel"},

    {"put", NewPut, "Store files as versions; prints HASH  PATH lines, a manifest in itself",
     "stagefs put team/images photos/ > photos.sum"},
    {"import-oxen", NewImportOxen, "Store the versions of an Oxen repository on this disk",
     "stagefs import-oxen team/images ~/oxen/images"},
    {"stage", NewStage, "Stage what a manifest lists",
     "stagefs put team/images photos/ | stagefs stage team/images:relabel -d train -"},
    {"rm", NewRemove, "Stage the removal of files and folders", "stagefs rm team/images:relabel train/bad.jpg"},
    {"prefetch", NewPrefetch, "Bring the files of a folder to this machine before they are read",
     "stagefs prefetch team/images:relabel train"},
    {"status", NewStatus, "Show what is staged", "stagefs status team/images:relabel"},
    {"diff", NewDiff, "Show which files two trees have differently, with their hashes",
     "stagefs diff team/images@main~1 @main train"},
    {"unstage", NewUnstage, "Take back what is staged", "stagefs unstage team/images:relabel train/"},
    {"show", NewShow, "Show a commit and which files it changed", "stagefs show team/images@main~1"},
    {"restore", NewRestore, "Stage files and folders as a commit has them",
     "stagefs restore team/images:relabel '@main@{yesterday}' train/night"},
    {"taken-back", NewTakenBack, "List what was staged, and then removed, unstaged or replaced",
     "stagefs taken-back team/images:relabel"},
    {"revert", NewRevert, "Stage the inverse of what a commit changed", "stagefs revert team/images:relabel @main~3"},
    {"mv", NewMove, "Stage a rename", "stagefs mv team/images:relabel train/a.jpg test/a.jpg"},
    {"commit", NewCommit, "Commit what is staged", "stagefs commit team/images:relabel -m 'Relabel night scenes'"},
    {"rebase", NewRebase, "Move a workspace onto the head of its branch", "stagefs rebase team/images:relabel"},
    {"log", NewLog, "Show commits, newest first", "stagefs log team/images"},
    {"ls", NewLs, "List a folder of a workspace or a revision", "stagefs ls team/images:relabel train"},
    {"manifest", NewManifest, "Write a whole tree as a manifest", "stagefs manifest team/images@v1.0 > v1.0.sum"},
    {"checkout", NewCheckout, "Put a commit's files into a folder, without a mount; later only what differs",
     "stagefs checkout team/images@v1.0 v1.0"},
    {"missing", NewMissing, "Print what a manifest names and the repository does not have, for whoever has it",
     "stagefs missing team/images wanted.csv > to-send.csv"},
    {"retry", NewRetry, "Stage again what was refused, or recovered after a crash",
     "stagefs retry team/images:relabel train/b.jpg"},
    {"dismiss", NewDismiss, "Throw away what was refused, or recovered after a crash",
     "stagefs dismiss team/images:relabel train/b.jpg"},

    {"sync", NewSync, "Make everything acknowledged survive power loss", "stagefs sync team/images"},
    {"fsck", NewFsck, "Check the index, hash every version again and look for missing and orphaned ones",
     "stagefs fsck team/images"},
    {"doctor", NewDoctor, "Look for what is wrong with a repository's places, and say what to do",
     "stagefs doctor team/images"},
    {"gc", NewGc, "Remove versions that nothing names", "stagefs gc team/images --keep 30"},

    {"mount", NewMount, "Mount a workspace, or a commit (NS/REPO@REV, read-only), as a folder",
     "stagefs mount team/images:relabel mnt --create"},
    {"unmount", NewUnmount, "Unmount a workspace", "stagefs unmount mnt"},
    {"serve", NewServe, "Serve HTTP without a mount", "stagefs serve --listen :3000", kNeedsServer},
    {"token", nullptr, "Tokens for HTTP clients", "stagefs token create --user ann", kNeedsServer},
    {"token create", NewTokenCreate, "Print a new token", "stagefs token create --user ann --expires 30d",
     kNeedsServer},
    {"help", NewHelp, "Show what a command takes, with an example", "stagefs help branch create"},
};

}  // namespace

std::vector<KnownCommand> KnownCommands(bool has_server) {
  std::vector<KnownCommand> known;
  for (const CommandRow& row : kTable) {
    if (row.needs_server && !has_server) continue;
    KnownCommand& added = known.emplace_back();
    added.row = &row;
    if (row.make == nullptr) continue;
    added.command = row.make();
    added.command->Declare(added.options);
    if (!has_server) added.options.LeaveOutWhatNeedsServer();
  }
  return known;
}

}  // namespace stagefs
