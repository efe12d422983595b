/// coupon-race: the race, and its cure, on a real server.

#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "arguments.hpp"
#include "exit_status.hpp"
#include "os/interruption.hpp"
#include "report/forms.hpp"
#include "report/output_file.hpp"
#include "run.hpp"

namespace {

using namespace coupon_race;

void print(const std::string &text, std::FILE *stream) {
    std::fputs(text.c_str(), stream);
    std::fflush(stream);
}

/// Where a result that was asked for goes; ready for it before the race.
class destination {
  public:
    /// `name` is empty if it was not asked for. Throws bad_argument.
    explicit destination(const std::string &name)
        : stdout_{name == "-"} {
        if (!name.empty() && !stdout_)
            file_ = std::make_unique<output_file>(name);
    }

    bool is_stdout() const { return stdout_; }

    void write(std::string (*form)(const race_report &), const race_report &report) {
        if (stdout_)
            print(form(report), stdout);
        if (file_)
            file_->write(form(report));
    }

  private:
    bool stdout_;
    std::unique_ptr<output_file> file_;
};

/// With a result on stdout, the table goes where it does not mix with it.
int race_and_report(const settings &wanted) {
    destination json{wanted.json_file};
    destination html{wanted.html_file};
    const race_report report = run(wanted);
    std::FILE *human = json.is_stdout() || html.is_stdout() ? stderr : stdout;
    print(as_text(report, charset_of_locale(), colour_wanted(wanted.colour, human)), human);
    json.write(as_json, report);
    html.write(as_html, report);
    return report.status();
}

void complain(const std::exception &caught) {
    std::string message = caught.what();
    message.erase(message.find_last_not_of(" \n") + 1);
    print("coupon-race: " + message + "\n", stderr);
}

} // namespace

int main(int argc, char **argv) {
    const parsed_arguments parsed = parse_arguments({argv + 1, argv + argc});
    if (parsed.exit) {
        print(parsed.output, stdout);
        print(parsed.error, stderr);
        return *parsed.exit;
    }
    const interruption_guard signals;
    try {
        return race_and_report(parsed.settings);
    } catch (const interrupted &caught) {
        print("coupon-race: interrupted; nothing was judged\n", stderr);
        return 128 + caught.signal_number();
    } catch (const bad_argument &caught) {
        complain(caught);
        return bad_arguments;
    } catch (const std::exception &caught) {
        complain(caught);
        return could_not_tell;
    }
}
