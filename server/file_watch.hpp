// FileWatch: the files that the running generation was made from, and which of them have changed.
// Changed   a file that exists and has another inode, size or time of change than before. A file that is missing,
//           because it is being replaced, has not changed yet.
// Checks    inotify on the files' folders says when to check (an editor that saves by rename leaves the file's own
//           inode alone). A burst of events is one check, after a short time without events. Polling: once a second.
// Failures  if inotify cannot watch because a limit of the kernel is reached, it polls and logs this once.
// Blocks    never, except for stat() and reading folders.
#pragma once

#include <sys/inotify.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "core/config.hpp"
#include "core/fd.hpp"

namespace narwhal::server {

class FileWatch {
 public:
  static constexpr std::chrono::nanoseconds quiet_for = std::chrono::milliseconds{150};  // the end of a burst
  static constexpr std::chrono::nanoseconds burst_max = std::chrono::seconds{1};
  static constexpr std::chrono::nanoseconds poll_every = std::chrono::seconds{1};
  static constexpr std::size_t files_max = 100'000;

  void begin(ReloadEngine engine, Instant now);
  // Forgets everything.
  void end();
  bool is_on() const { return on_; }

  // `path` is absolute, or a pattern of such paths; `number` is the generation that was made from it.
  void add(const std::string& path, std::uint64_t number, Instant now);
  void add_pattern(const std::string& pattern, std::uint64_t number, Instant now);
  // Stops watching files that only earlier generations had, and watches the rest with `engine`.
  void forget_before(std::uint64_t number, ReloadEngine engine, Instant now);

  // For the turn of the master's loop: what poll() must watch (-1: nothing) and until when, then what has changed.
  int descriptor() const { return inotify_.get(); }
  Instant next_deadline() const;
  void read_events(Instant now);
  std::vector<std::string> changed(Instant now);

 private:
  struct Stamp {
    std::uint64_t inode = 0, size = 0;
    std::chrono::nanoseconds changed{0};  // since 1970
    bool operator==(const Stamp&) const = default;
  };
  struct File {
    Stamp stamp;  // all 0: the file does not exist
    std::uint64_t number;
  };

  static Stamp stamp_of(const std::string& path);
  void open_inotify();
  void give_up_inotify(const std::string& reason);
  void watch_around(const std::string& path);
  void watch_folder(const std::string& folder);
  void folder_is_gone(int watch);
  void read_event(const inotify_event& event, const char* name, Instant now);
  void note_event(Instant now);
  bool may_have_changed(const inotify_event& event, const std::string& folder, const std::string& name) const;
  void enter(const std::string& path, std::uint64_t number);
  void expand(const std::string& pattern, std::uint64_t number, std::vector<std::string>* added);

  bool on_ = false;
  ReloadEngine engine_ = ReloadEngine::automatic;
  Fd inotify_;  // empty: by polling
  std::map<std::string, File> files_;
  std::map<std::string, std::uint64_t> patterns_;  // with their generations
  std::set<std::string> names_;                    // of the files, and of the targets of links
  std::set<std::string> open_folders_;             // folders of patterns: every name in them counts
  std::map<std::string, int> watches_;             // inotify's number by folder
  std::set<std::string> missing_folders_;          // folders that do not exist now
  Instant burst_began_ = unset;                    // unset: no event yet
  Instant due_ = never;
};

}  // namespace narwhal::server
