/// coupon-race: the race, and its cure, on a real server.

#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "arguments.hpp"
#include "os/interruption.hpp"
#include "report/as_json.hpp"
#include "report/as_text.hpp"
#include "report/output_file.hpp"
#include "run.hpp"

namespace {

using namespace coupon_race;

void print(const std::string &text, std::FILE *stream) {
    std::fputs(text.c_str(), stream);
    std::fflush(stream);
}

/// With JSON on stdout, the table goes where it does not mix with it.
int race_and_report(const settings &wanted) {
    const bool json_on_stdout = wanted.json_file == "-";
    std::unique_ptr<output_file> file;
    if (!wanted.json_file.empty() && !json_on_stdout)
        file = std::make_unique<output_file>(wanted.json_file);
    const race_report report = run(wanted);
    std::FILE *human = json_on_stdout ? stderr : stdout;
    print(as_text(report, charset_of_locale(), colour_wanted(wanted.colour, human)), human);
    if (json_on_stdout)
        print(as_json(report), stdout);
    if (file)
        file->write(as_json(report));
    return report.status();
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
    } catch (const std::exception &caught) {
        std::string message = caught.what();
        message.erase(message.find_last_not_of(" \n") + 1);
        print("coupon-race: " + message + "\n", stderr);
        return could_not_tell;
    }
}
