// Files that belong together: their contents, what is wrong with them, and when they were replaced.
#include "lib/base/file.h"
#include "lib/base/file_set.h"
#include "t/support/catch.h"

#include <cstdlib>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

using namespace posthouse;

namespace {

struct Folder {
    Folder()
    {
        char name[] = "/tmp/posthouse-files-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string add(const std::string& name, const std::string& text) const
    {
        const Result<void> done = replace_file(path + "/" + name, text, 0600);
        return done ? path + "/" + name : "";
    }
    std::string path;
};

} // namespace

TEST_CASE("a set has the content of each file, or why there is none, and a folder stands for its files by name")
{
    const Folder folder;
    const std::string one = folder.add("one", "first");
    const std::string two = folder.add("two", std::string(2000, 'x'));
    ::mkdir((folder.path + "/inner").c_str(), 0700);
    folder.add("inner/b", "B");
    folder.add("inner/a", "A");
    const std::string inner = folder.path + "/inner";
    const std::string pipe = folder.path + "/pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0); // nobody waits for a writer
    const std::string link = folder.path + "/link";
    REQUIRE(::symlink("one", link.c_str()) == 0);
    const FileSet set = FileSet::read({one, one, two, inner, pipe, link, folder.path + "/none"}, 1000);
    CHECK(set.entries().size() == 6);
    CHECK(*set.content(one) == "first");
    CHECK(*set.content(link) == "first");
    CHECK(*set.content(inner) == "A\nB\n");
    CHECK(set.content(two).error().text() == two + ": longer than 1000 bytes");
    CHECK(set.content(pipe).error().text() == pipe + ": not a file");
    CHECK(set.content(folder.path + "/none").error().text() == "open " + folder.path + "/none: No such file or directory");
    CHECK_FALSE(set.content("/elsewhere"));
}

TEST_CASE("the signature changes when a file is replaced, written, removed, or its link turned, and not else")
{
    const Folder folder;
    const std::string one = folder.add("one", "first");
    const std::string two = folder.add("two", "other");
    const std::string link = folder.path + "/link";
    REQUIRE(::symlink("one", link.c_str()) == 0);
    const std::vector<std::string> paths{link, folder.path + "/later"};
    const FileSet::Signature before = FileSet::signature(paths);
    CHECK(FileSet::signature(paths) == before);
    ::unlink(link.c_str());
    REQUIRE(::symlink("two", link.c_str()) == 0);
    const FileSet::Signature turned = FileSet::signature(paths);
    CHECK(turned != before);
    folder.add("two", "other"); // the same text in a new file
    const FileSet::Signature replaced = FileSet::signature(paths);
    CHECK(replaced != turned);
    folder.add("later", "x");
    CHECK(FileSet::signature(paths) != replaced);
    CHECK(FileSet::signature({folder.path}) != FileSet::signature({folder.path + "/later"}));
}
