import BurstClient
import BurstWire
import Glibc

// Connects as whoever runs it and asks one thing: SOCKET ping|shutdown|reconfigure|check|submit|staging, or
// SOCKET dw_wlm_cli|dwstat WORDS.
guard CommandLine.arguments.count >= 3 else { exit(2) }
do throws(ClientError) {
    let connection = try BurstConnection.connect(path: CommandLine.arguments[1], program: "daemon-probe")
    var body: [UInt8] = []
    let ask: Question.Ask
    switch CommandLine.arguments[2] {
    case "shutdown": ask = .shutdown
    case "reconfigure": ask = .reconfigure
    case "staging": ask = .list(.staging)
    case let word where StageCall.Program(rawValue: word) != nil:
        let call = StageCall(StageCall.Program(rawValue: word)!, arguments: Array(CommandLine.arguments.dropFirst(3)))
        ask = .stage(call)
    case "check": ask = .check(repair: false)
    case "submit":
        ask = .submit(Submission(name: "probe", workDir: "/"))
        body = Array("#!/bin/sh\nexit 0\n".utf8)
    default: ask = .ping
    }
    let (answer, said) = try connection.ask(ask, body: body)
    switch answer {
    case .staged, .body: print(String(decoding: said, as: UTF8.self))
    case .refused(_, let code, let text, _): print("refused \(code) \(text)")
    case .submitted(_, let job, _): print("submitted \(job)")
    default: print("ok")
    }
} catch {
    print("\(error)")
    exit(1)
}
