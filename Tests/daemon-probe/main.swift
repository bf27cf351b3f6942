import BurstClient
import BurstWire
import Glibc

// Connects as whoever runs it and asks one thing: SOCKET ping|shutdown|reconfigure|check|submit.
guard CommandLine.arguments.count == 3 else { exit(2) }
do throws(ClientError) {
    let connection = try BurstConnection.connect(path: CommandLine.arguments[1], program: "daemon-probe")
    var body: [UInt8] = []
    let ask: Question.Ask
    switch CommandLine.arguments[2] {
    case "shutdown": ask = .shutdown
    case "reconfigure": ask = .reconfigure
    case "check": ask = .check(repair: false)
    case "submit":
        ask = .submit(Submission(name: "probe", workDir: "/"))
        body = Array("#!/bin/sh\nexit 0\n".utf8)
    default: ask = .ping
    }
    let (answer, _) = try connection.ask(ask, body: body)
    switch answer {
    case .refused(_, let code, let text, _): print("refused \(code) \(text)")
    case .submitted(_, let job, _): print("submitted \(job)")
    default: print("ok")
    }
} catch {
    print("\(error)")
    exit(1)
}
