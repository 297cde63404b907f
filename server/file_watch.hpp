// FileWatch: the files that the running generation was made from, and which of them have changed.
// Changed  has another inode, size or time of change than before, and is there: what is being replaced is no change yet.
// Looks    inotify on the files' folders says when to look (an editor that saves by rename leaves the file's own inode
//          alone); a burst of saving is one look, when it has been quiet for a moment. By polling: once a second.
// Failing  where inotify cannot watch, the kernel's limits reached, it polls, and says so once.
// Blocks   never, but for stat() and reading folders.
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
  // What only earlier generations had is looked at no more, and the rest in this way.
  void forget_before(std::uint64_t number, ReloadEngine engine, Instant now);

  // The turn of the master's loop: what poll() is to watch (-1: nothing) and until when, then what has come.
  int descriptor() const { return inotify_.get(); }
  Instant next_deadline() const;
  void hear(Instant now);
  std::vector<std::string> changed(Instant now);

 private:
  struct Stamp {
    std::uint64_t inode = 0, size = 0;
    std::chrono::nanoseconds changed{0};  // since 1970
    bool operator==(const Stamp&) const = default;
  };
  struct File {
    Stamp stamp;  // all 0: not there
    std::uint64_t number;
  };

  static Stamp stamp_of(const std::string& path);
  void open_inotify();
  void give_up_inotify(const std::string& reason);
  void watch_around(const std::string& path);
  void watch_folder(const std::string& folder);
  void lose_folder(int watch);
  void read_event(const inotify_event& event, const char* name, Instant now);
  void sign(Instant now);
  bool may_have_changed(const inotify_event& event, const std::string& folder, const std::string& name) const;
  void enter(const std::string& path, std::uint64_t number);
  void expand(const std::string& pattern, std::uint64_t number, std::vector<std::string>* added);

  bool on_ = false;
  ReloadEngine engine_ = ReloadEngine::automatic;
  Fd inotify_;  // none: by polling
  std::map<std::string, File> files_;
  std::map<std::string, std::uint64_t> patterns_;  // and their generations
  std::set<std::string> names_;                    // of the files, and of what links among them lead to
  std::set<std::string> open_folders_;             // in which every name counts: those of patterns
  std::map<std::string, int> watches_;             // by folder: inotify's number
  std::set<std::string> lost_;                     // folders that are not there now
  Instant burst_began_ = unset;                    // unset: no sign yet
  Instant due_ = never;
};

}  // namespace narwhal::server
