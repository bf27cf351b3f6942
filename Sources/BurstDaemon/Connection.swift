import BurstEngine
import BurstWire
import NIOCore

/// A client's connection, on the loop of the sockets: cuts the stream into questions, and holds back what is too much.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Stage {
        /// Nothing was said yet.
        case new
        /// The name is being looked up.
        case named(Hello)
        case open(Caller, ClientQuestion.Owner)
        /// A last answer goes out.
        case ending
        case closed
    }

    private let server: SocketServer
    private var stage = Stage.new
    private var peer: Peer?
    private var credentials: (uid: UInt32, gid: UInt32) = (.max, .max)
    private var decoder = FrameDecoder(frameBytesMax: DaemonLimits.helloBytesMax)
    /// Questions whose answer has not gone out.
    private var underWay = 0
    /// A question for which there was no room.
    private var parked: ClientQuestion?
    private var unsent = 0
    private var progressAt = NIODeadline.now()
    /// When the frame that is coming in began.
    private var frameAt: NIODeadline?
    private var isWatching = false
    private var reads = true

    init(server: SocketServer) { self.server = server }

    // MARK: Beginning

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let peer = Peer(
            number: server.number(), channel: channel, connection: NIOLoopBound(self, eventLoop: channel.eventLoop))
        self.peer = peer
        setReading(false, context)
        guard let options = channel as? any SocketOptionProvider else { return refuse("has no credentials", context) }
        let credentials: EventLoopFuture<PeerCredentials> = options.unsafeGetSocketOption(
            level: .socket, name: .init(rawValue: PeerCredentials.option))
        credentials.whenComplete { result in
            let (connection, context) = this.value
            switch result {
            case .success(let found): connection.known(found, peer, context)
            case .failure: connection.refuse("your credentials cannot be read", context)
            }
        }
        context.eventLoop.scheduleTask(in: .seconds(Int64(Wire.helloSeconds))) {
            let (connection, context) = this.value
            if case .new = connection.stage {
                connection.refuse("nothing was said within \(Wire.helloSeconds) seconds", context)
            }
        }
        context.fireChannelActive()
    }

    private func known(_ found: PeerCredentials, _ peer: Peer, _ context: ChannelHandlerContext) {
        guard case .new = stage else { return }
        credentials = (found.uid, found.gid)
        if let why = server.admit(peer, uid: found.uid) { return refuse(why, context) }
        setReading(true, context)
    }

    private func hello(_ frame: Frame, _ context: ChannelHandlerContext) {
        let hello: Hello
        do {
            hello = try frame.read(Hello.self)
        } catch {
            return refuse("the first message is no hello: \(error)", context)
        }
        guard hello.burst == Wire.version else {
            return refuse(
                "\(Orders.plain(hello.program)) speaks version \(hello.burst) of the protocol, \(server.program) "
                    + "version \(Wire.version): use programs of one release", context)
        }
        stage = .named(hello)
        setReading(false, context)
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        server.caller(uid: credentials.uid, gid: credentials.gid) { caller, owner in
            loop.execute {
                let (connection, context) = this.value
                connection.begin(caller, owner, context)
            }
        }
    }

    private func begin(_ caller: Caller, _ owner: ClientQuestion.Owner, _ context: ChannelHandlerContext) {
        guard case .named = stage else { return }
        stage = .open(caller, owner)
        decoder.frameBytesMax = DaemonLimits.questionBytesMax
        send(Hello(program: server.program, cluster: server.driver.clusterName), context)
        process(context)
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        switch stage {
        case .ending, .closed: return
        case .new, .named, .open: break
        }
        decoder.feed(bytes.readableBytesView)
        process(context)
    }

    private func process(_ context: ChannelHandlerContext) {
        do throws(FrameError) {
            while takes, let frame = try decoder.next() {
                frameAt = nil
                switch stage {
                case .new: hello(frame, context)
                case .open(let caller, let owner): take(frame, caller, owner, context)
                case .named, .ending, .closed: break
                }
            }
        } catch {
            return refuse("\(error)", context)
        }
        switch stage {
        case .new, .open:
            setReading(takes, context)
            frameAt = takes && decoder.waiting > 0 ? frameAt ?? .now() : nil
            watch(context)
        case .named, .ending, .closed: break
        }
    }

    /// Whether the next question may come.
    private var takes: Bool {
        switch stage {
        case .new: true
        case .open: underWay < Wire.questionsMax && parked == nil
        case .named, .ending, .closed: false
        }
    }

    private func take(
        _ frame: Frame, _ caller: Caller, _ owner: ClientQuestion.Owner, _ context: ChannelHandlerContext
    ) {
        guard let peer else { return }
        let question: Question
        do {
            question = try frame.read(Question.self)
        } catch {
            return refuse("\(error)", context)
        }
        underWay += 1
        var whole = ClientQuestion(
            client: peer, id: question.id, ask: question.ask, body: frame.body, caller: caller, owner: owner)
        whole.isBehindOthers = underWay > 1
        guard case .submit(let submission) = question.ask, let named = submission.user else {
            return offer(whole)
        }
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let loop = context.eventLoop
        server.owner(named) { [whole] found in
            guard let found else {
                return peer.refuse(question.id, "user \(Orders.plain(named)) does not exist on this machine")
            }
            loop.execute {
                var whole = whole
                whole.owner = found
                this.value.offer(whole)
            }
        }
    }

    private func offer(_ question: ClientQuestion) {
        guard let peer, case .open = stage else { return }
        // A second one can come along while the name of its owner is looked up; it waits behind.
        if parked != nil || !server.ask(question) {
            guard parked == nil else { return peer.refuse(question.id, "burstd has too much to do; try again") }
            parked = question
            server.park(peer.number)
        }
    }

    /// There may be room now.
    fileprivate func tryAgain() {
        guard let question = parked else { return }
        parked = nil
        offer(question)
        if parked == nil, let context { process(context) }
    }

    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    private func setReading(_ on: Bool, _ context: ChannelHandlerContext) {
        guard reads != on else { return }
        reads = on
        context.channel.setOption(.autoRead, value: on).whenFailure { _ in }
    }

    // MARK: Writing

    private func send(_ header: some Encodable, _ context: ChannelHandlerContext) {
        if let bytes = try? Frame.encode(header) { send(bytes, isAnswer: false, onSent: nil) }
    }

    /// - Parameter isAnswer: the last one to a question, which makes room for another.
    fileprivate func send(_ bytes: [UInt8], isAnswer: Bool, onSent: (@Sendable () -> Void)?) {
        guard let context, isOpen else {
            onSent?()
            return
        }
        guard unsent == 0 || unsent + bytes.count <= DaemonLimits.unsentBytesMax else {
            onSent?()
            return drop("does not read its answers", context)
        }
        if unsent == 0 { progressAt = .now() }
        unsent += bytes.count
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        var start = 0
        repeat {
            // In pieces, so that it shows whether the client reads.
            let end = min(bytes.count, start + DaemonLimits.chunkBytes)
            let count = end - start
            let isLast = end == bytes.count
            let buffer = context.channel.allocator.buffer(bytes: bytes[start..<end])
            context.write(wrapOutboundOut(buffer)).whenComplete { _ in
                let (connection, context) = this.value
                connection.sent(count, isAnswer: isLast && isAnswer, context)
                if isLast { onSent?() }
            }
            start = end
        } while start < bytes.count
        context.flush()
        watch(context)
    }

    private var isOpen: Bool {
        switch stage {
        case .new, .named, .open: true
        case .ending, .closed: false
        }
    }

    private func sent(_ count: Int, isAnswer: Bool, _ context: ChannelHandlerContext) {
        unsent -= count
        progressAt = .now()
        if isAnswer { underWay -= 1 }
        if case .open = stage, isAnswer { process(context) }
    }

    // MARK: Ending

    /// One line to the client, and no more.
    private func refuse(_ why: String, _ context: ChannelHandlerContext) {
        let bytes: [UInt8]?
        switch stage {
        case .new, .named: bytes = try? Frame.encode(Hello(program: server.program, refused: why))
        case .open: bytes = try? Frame.encode(Answer.refused(0, code: 0, text: why, notes: []))
        case .ending, .closed: return
        }
        stage = .ending
        setReading(false, context)
        guard let bytes else { return context.close(promise: nil) }
        let this = NIOLoopBound(context, eventLoop: context.eventLoop)
        let loop = context.eventLoop
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes))).whenComplete { _ in
            this.value.close(promise: nil)
        }
        // Whoever does not even read this.
        loop.scheduleTask(in: .seconds(Int64(Wire.helloSeconds))) { this.value.close(promise: nil) }
    }

    private func drop(_ why: String, _ context: ChannelHandlerContext) {
        server.driver.parts.log(
            HookLogLine(.info, "connection of user \(credentials.uid) ended: it \(why)"))
        stage = .ending
        context.close(promise: nil)
    }

    /// The daemon ends: when the last answers are out, so does the connection.
    fileprivate func end() {
        guard let context, isOpen else { return }
        stage = .ending
        let this = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(capacity: 0))).whenComplete { _ in
            this.value.close(promise: nil)
        }
    }

    /// Looks now and then at a connection from which a frame is coming in, or that has not taken its answers.
    private func watch(_ context: ChannelHandlerContext) {
        guard !isWatching, unsent > 0 || frameAt != nil else { return }
        isWatching = true
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .seconds(5)) {
            let (connection, context) = this.value
            connection.isWatching = false
            guard connection.isOpen else { return }
            if connection.unsent > 0,
                .now() - connection.progressAt > .seconds(Int64(DaemonLimits.slowReaderSeconds))
            {
                return connection.drop("does not read its answers", context)
            }
            if let began = connection.frameAt, .now() - began > .seconds(Int64(DaemonLimits.frameSeconds)) {
                return connection.refuse(
                    "a message did not come whole within \(DaemonLimits.frameSeconds) seconds", context)
            }
            connection.watch(context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        stage = .closed
        parked = nil
        if let peer { server.closed(peer.number, uid: credentials.uid) }
        peer = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Linux's `struct ucred`.
private struct PeerCredentials {
    var pid: Int32 = 0
    var uid: UInt32 = .max
    var gid: UInt32 = .max

    /// SO_PEERCRED
    static let option: Int32 = 17
}

/// A connection from outside its loop.
final class Peer: Client {
    let number: UInt64
    private let channel: any Channel
    private let connection: NIOLoopBound<Connection>

    init(number: UInt64, channel: any Channel, connection: NIOLoopBound<Connection>) {
        self.number = number
        self.channel = channel
        self.connection = connection
    }

    func answer(_ answer: Answer, body: [UInt8]) { send(answer, body, isAnswer: true, onSent: nil) }

    func tell(_ answer: Answer, body: [UInt8], onSent: (@Sendable () -> Void)?) {
        send(answer, body, isAnswer: false, onSent: onSent)
    }

    private func send(_ answer: Answer, _ body: [UInt8], isAnswer: Bool, onSent: (@Sendable () -> Void)?) {
        let bytes: [UInt8]
        do throws(FrameError) {
            bytes = try Frame.encode(answer, body: body)
        } catch {
            guard isAnswer, case .body(let id) = answer,
                let refusal = try? Frame.encode(
                    Answer.refused(id, code: 0, text: "the answer is too long: \(error)", notes: []))
            else {
                onSent?()
                return
            }
            bytes = refusal
        }
        let connection = connection
        channel.eventLoop.execute { connection.value.send(bytes, isAnswer: isAnswer, onSent: onSent) }
    }

    func tryAgain() {
        let connection = connection
        channel.eventLoop.execute { connection.value.tryAgain() }
    }

    func end() {
        let connection = connection
        channel.eventLoop.execute { connection.value.end() }
    }
}
