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

#include "core/config.hpp"
#include "core/fd.hpp"
#include "server/time_limit.hpp"

namespace narwhal::server {

class FileWatch {
 public:
  static constexpr std::uint64_t quiet_ns = 150'000'000;  // this long without a sign is the end of a burst
  static constexpr std::uint64_t burst_ns = second_ns;    // and a burst is never longer
  static constexpr std::uint64_t poll_ns = second_ns;
  static constexpr std::size_t files_max = 100'000;

  void begin(ReloadEngine engine, std::uint64_t now);
  // Forgets everything.
  void end();
  bool is_on() const { return on_; }

  // `path` is absolute, or a pattern of such paths; `number` is the generation that was made from it.
  void add(const std::string& path, std::uint64_t number, std::uint64_t now);
  void add_pattern(const std::string& pattern, std::uint64_t number, std::uint64_t now);
  // What only earlier generations had is looked at no more, and the rest in this way.
  void forget_before(std::uint64_t number, ReloadEngine engine, std::uint64_t now);

  // The turn of the master's loop: what poll() is to watch (-1: nothing) and until when, then what has come.
  int descriptor() const { return inotify_.get(); }
  std::uint64_t next_deadline() const;
  void hear(std::uint64_t now);
  std::vector<std::string> changed(std::uint64_t now);

 private:
  struct Stamp {
    std::uint64_t inode = 0, size = 0;
    std::int64_t changed_ns = 0;
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
  void read_event(const inotify_event& event, const char* name, std::uint64_t now);
  void sign(std::uint64_t now);
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
  std::uint64_t burst_began_ns_ = 0;               // 0: no sign yet
  std::uint64_t due_ns_ = never_ns;
};

}  // namespace narwhal::server
