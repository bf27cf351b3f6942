import BurstModel
import BurstScreen
import BurstSettings
import Testing

@Suite struct SettingsFileTests {
    private func apply(_ text: String, _ author: SettingsFile.Author = .user) throws -> Settings {
        try SettingsFile.apply(text, file: "b.toml", by: author, to: Settings())
    }

    private func refusal(_ text: String, _ author: SettingsFile.Author = .user) -> String {
        do {
            _ = try apply(text, author)
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    @Test func anEmptyFileChangesNothing() throws {
        #expect(try apply("") == Settings())
        #expect(try apply("# nothing\n\n[rules]\n[keys]\n[columns]\n") == Settings())
    }

    @Test func everyKeyIsTaken() throws {
        let settings = try apply(
            """
            theme = "nord"
            color = "256"
            ascii = true
            mouse = true
            clock = false
            plain = true
            read_only = true
            interval_seconds = 20
            jobs_interval_seconds = 60
            interval_floor_seconds = 7
            jobs = "own"
            timeout_seconds = 11
            status_timeout_seconds = 61
            syslog = true
            event_log = "/var/log/burstmon.log"
            event_log_bytes_max = 8192
            [rules]
            stage_warn_percent = 70
            stage_crit_percent = 90
            pool_warn_percent = 80
            pool_crit_percent = 99
            persistent_age_days = 7
            user_share_percent = 40
            rtt_warn_seconds = 0.5
            pool_gone_seconds = 60
            other_timeout_fallback_seconds = 100
            stage_disagree_seconds = 90
            stage_stall_seconds = 120
            quarantine_failures = 5
            disabled = ["R12", "R13"]
            [keys]
            cancel = "F9"
            [columns]
            buffers = ["id", "user", "size"]
            """)
        var expected = Settings()
        expected.theme = "nord"
        expected.color = .indexed256
        (expected.ascii, expected.mouse, expected.clock, expected.plain) = (true, true, false, true)
        (expected.readOnly, expected.syslog) = (true, true)
        (expected.intervalSeconds, expected.jobsIntervalSeconds, expected.intervalFloorSeconds) = (20, 60, 7)
        expected.jobs = .own
        (expected.timeoutSeconds, expected.statusTimeoutSeconds) = (11, 61)
        (expected.eventLogPath, expected.eventLogBytesMax) = ("/var/log/burstmon.log", 8192)
        (expected.rules.stageWarnPercent, expected.rules.stageCritPercent) = (70, 90)
        (expected.rules.poolWarnPercent, expected.rules.poolCritPercent) = (80, 99)
        (expected.rules.persistentAgeDays, expected.rules.userSharePercent) = (7, 40)
        (expected.rules.rttWarnSeconds, expected.rules.poolGoneSeconds) = (0.5, 60)
        expected.rules.otherTimeoutFallbackSeconds = 100
        (expected.rules.stageDisagreeSeconds, expected.rules.stageStallSeconds) = (90, 120)
        expected.rules.quarantineFailures = 5
        expected.rules.disabled = ["R12", "R13"]
        expected.keys = ["cancel": "F9"]
        expected.columns = ["buffers": ["id", "user", "size"]]
        #expect(settings == expected)
    }

    static let refusals: [(text: String, line: String)] = [
        ("# x\ninterval = 3\n", "b.toml:2: unknown key \"interval\"; use \"theme\", \"color\", "),
        ("[rules]\nstage_warn = 3\n", "b.toml:2: unknown key of [rules] \"stage_warn\"; use \"stage_warn_percent\", "),
        ("ascii = \"yes\"\n", "b.toml:1: ascii is a string; it has to be true or false"),
        (
            "color = \"always\"\n",
            "b.toml:1: color is \"always\"; use \"auto\", \"never\", \"16\", \"256\" or \"truecolor\""
        ),
        ("color = 256\n", "b.toml:1: color is a whole number; it has to be a string in quotes"),
        ("jobs = \"mine\"\n", "b.toml:1: jobs is \"mine\"; use \"all\", \"own\" or \"off\""),
        ("timeout_seconds = 0\n", "b.toml:1: timeout_seconds is 0; it has to be a whole number from 1 to 3600"),
        (
            "timeout_seconds = 1.5\n",
            "b.toml:1: timeout_seconds is a number with a fraction; it has to be a whole number from 1 to 3600"
        ),
        (
            "timeout_seconds = 2026-01-01\n",
            "b.toml:1: timeout_seconds is a date or a time; it has to be a whole number"
        ),
        ("event_log = \"log\"\n", "b.toml:1: event_log is \"log\"; it has to be an absolute path, /..."),
        ("rules = 1\n", "b.toml:1: rules is a whole number; it has to be a table, [rules]"),
        ("[rules]\ndisabled = [\"R25\"]\n", "b.toml:2: there is no rule \"R25\"; rules are \"R1\" to \"R24\""),
        ("[rules]\ndisabled = [1]\n", "b.toml:2: disabled holds a whole number; it has to be a list of strings"),
        (
            "[rules]\nstage_crit_percent = 70\n",
            "b.toml:2: stage_warn_percent 80 is above stage_crit_percent 70; a warning has to come before its alarm"
        ),
        ("[keys]\ncancel = 9\n", "b.toml:2: cancel is a whole number; it has to be a string in quotes"),
        ("[columns]\npools = []\n", "b.toml:2: \"pools\" has no columns; name one or leave it out"),
        (
            "interval_seconds = 4\n",
            "b.toml:1: interval_seconds is 4, below the floor of 5; 5 or more spares the controller; only "
                + "/etc/burst/burstmon.toml can lower the floor"
        ),
        (
            "interval_floor_seconds = 2\n",
            "b.toml:1: interval_floor_seconds is 2, below the site's 5; only /etc/burst/burstmon.toml can lower it"
        ),
        ("theme = \n", "b.toml:1: is not TOML: "),
    ]

    @Test(arguments: refusals)
    func whatIsWrongIsSaidInOneLine(text: String, line: String) {
        let told = refusal(text)
        #expect(told.hasPrefix(line), "\(told)")
        #expect(!told.contains("\n"))
    }

    @Test func onlyTheSiteCanLowerTheFloor() throws {
        #expect(try apply("interval_seconds = 2\ninterval_floor_seconds = 2\n", .site).intervalSeconds == 2)
        #expect(refusal("interval_floor_seconds = 4\n", .user) != "accepted")
        #expect(try apply("interval_floor_seconds = 9\n", .user).intervalFloorSeconds == 9)
    }

    @Test func intervalsOfWhichNobodySpeaksFollowTheFloor() throws {
        let settings = try apply("interval_floor_seconds = 45\n", .site)
        #expect(settings.intervalSeconds == 45 && settings.jobsIntervalSeconds == 45)
    }

    @Test func theUsersFileComesOnTopOfTheSites() {
        let folder = ScratchFolder()
        let site = folder.write(
            "theme = \"light\"\njobs = \"off\"\ninterval_floor_seconds = 30\n[keys]\nquit = \"q\"\ncancel = \"c\"\n",
            to: "site.toml")
        let user = folder.write("theme = \"nord\"\n[keys]\ncancel = \"x\"\n", to: "user.toml")
        let outcome = SettingsFile.load(site: site, user: user)
        #expect(outcome.faults == [])
        #expect(outcome.settings.theme == "nord")
        #expect(outcome.settings.jobs == .off)
        #expect(outcome.settings.intervalSeconds == 30)
        #expect(outcome.settings.keys == ["quit": "q", "cancel": "x"])
        let greedy = folder.write("interval_seconds = 10\n", to: "greedy.toml")
        let refused = SettingsFile.load(site: site, user: greedy)
        #expect(refused.faults.map(\.line) == [1])
        #expect(refused.settings.intervalSeconds == 30)
    }

    @Test func aBadFileCountsForNothingAndTheOtherStays() {
        let folder = ScratchFolder()
        let site = folder.write("theme = \"light\"\nbad = 1\n", to: "site.toml")
        let user = folder.write("mouse = true\n", to: "user.toml")
        let outcome = SettingsFile.load(site: site, user: user)
        #expect(outcome.faults.map(\.description).count == 1)
        #expect(outcome.faults[0].description.hasPrefix("\(site):2: unknown key \"bad\"; use "))
        #expect(outcome.settings.theme == nil)
        #expect(outcome.settings.mouse)
    }

    @Test func filesThatAreNotThereSayNothing() {
        let outcome = SettingsFile.load(site: "/nowhere/burstmon.toml", user: nil)
        #expect(outcome.faults == [])
        #expect(outcome.settings == Settings())
    }

    @Test func theUsersFileIsFoundAsXDGSays() {
        #expect(SettingsFile.userPath(environment: ["XDG_CONFIG_HOME": "/c"]) == "/c/burst/burstmon.toml")
        #expect(SettingsFile.userPath(environment: ["HOME": "/h"]) == "/h/.config/burst/burstmon.toml")
        #expect(SettingsFile.userPath(environment: [:]) == nil)
        #expect(SettingsFile.sitePath == "/etc/burst/burstmon.toml")
    }
}
