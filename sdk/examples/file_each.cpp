// A sink in C++: writes each event to a file of its own in a folder, named after the event's number and outbox. An
// event that comes again replaces its own file by itself, so each is there once.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <tide/sink.hpp>
#include <vector>

namespace {

constexpr std::size_t kCapacity = 500;

constexpr tide_option kOptions[] = {
    tide::string_option("folder", "The folder that gets a file for each event",
                        TIDE_OPTION_REQUIRED | TIDE_OPTION_WRITES),
};

class Files {
 public:
  static constexpr tide::SinkInfo info{.id = "file_each",          // the file's name without ".so"
                                       .sink_types = "file_each",  // what a pipeline names as its sink_type
                                       .version = "0.1.0",
                                       .description = "Writes each event to a file of its own",
                                       .capabilities = TIDE_CAP_DEDUPLICATES | TIDE_CAP_ORDERED,
                                       .options = kOptions};

  Files(tide::Host /*host*/, const tide::Config& config) : folder_(config.text("folder")), disk_(folder_) {
    if (::access(folder_.c_str(), W_OK | X_OK) != 0) throw tide::Error::fatal(why(folder_), errno);
  }

  std::size_t publish(const tide::Batch& batch) {
    std::size_t taken = 0;
    for (const tide_message& message : batch) {
      if (written_.size() == kCapacity) break;
      write(message);
      written_.push_back(message.token);
      ++taken;
    }
    return taken;
  }

  void ack(tide::Results& results, std::chrono::milliseconds /*timeout*/) {
    if (written_.empty()) return;
    if (::syncfs(disk_.fd) != 0) throw tide::Error::retry(why(folder_), errno);  // once for all of them
    std::size_t told = 0;
    while (told < written_.size() && !results.full()) results.stored(written_[told++]);
    written_.erase(written_.begin(), written_.begin() + static_cast<std::ptrdiff_t>(told));
  }

 private:
  static std::string why(const std::string& file) { return file + ": " + std::strerror(errno); }

  // Under another name first: whoever lists the folder sees whole files only.
  void write(const tide_message& message) const {
    const std::string name =
        folder_ + "/" + std::string(tide::view(message.outbox)) + "-" + std::to_string(message.outbox_id) + ".json";
    const std::string part = name + ".part";
    const std::string_view text = tide::view(message.payload);
    const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) throw tide::Error::retry(why(part), errno);
    std::string fault;
    errno = ENOSPC;  // a write that comes short sets nothing
    if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) fault = why(part);
    if (::close(fd) != 0 && fault.empty()) fault = why(part);
    if (fault.empty() && ::rename(part.c_str(), name.c_str()) != 0) fault = why(name);
    if (fault.empty()) return;
    ::unlink(part.c_str());
    throw tide::Error::retry(fault);
  }

  struct Folder {
    explicit Folder(const std::string& name) : fd(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
    ~Folder() { ::close(fd); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    const int fd;
  };

  const std::string folder_;
  const Folder disk_;
  std::vector<std::uint64_t> written_;
};

}  // namespace

TIDE_EXPORT_SINK(Files)
