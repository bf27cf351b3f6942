package import BurstEngine
package import BurstWire

/// A client as the driver and the publisher see it: somewhere to send answers to. Calls never wait; for one that is
/// gone they
/// do nothing.
package protocol Client: AnyObject, Sendable {
    var number: UInt64 { get }
    /// The last answer to a question.
    func answer(_ answer: Answer, body: [UInt8])
    /// Something besides: progress, news. `onSent` is called when the client has taken it, or is gone.
    func tell(_ answer: Answer, body: [UInt8], onSent: (@Sendable () -> Void)?)
}

extension Client {
    package func answer(_ answer: Answer) { self.answer(answer, body: []) }

    package func refuse(_ id: UInt64, _ refusal: Refusal, notes: [String] = []) {
        answer(.refused(id, code: refusal.code, text: refusal.text, notes: notes))
    }

    package func refuse(_ id: UInt64, _ text: String) { answer(.refused(id, code: 0, text: text, notes: [])) }
}

/// A question with whoever asked it.
package struct ClientQuestion: Sendable {
    package var client: any Client
    package var id: UInt64
    package var ask: Question.Ask
    package var body: [UInt8]
    package var caller: Caller
    /// Of the job's owner: the caller, or the user that `Submission.user` names.
    package var owner: Owner
    /// Others of the same client have no answer yet: what they change is seen by this one.
    package var isBehindOthers = false

    /// A user with the name of the first group.
    package struct Owner: Hashable, Sendable {
        package var user: People.User
        package var groupName: String

        package init(user: People.User, groupName: String) {
            self.user = user
            self.groupName = groupName
        }
    }

    package init(
        client: any Client, id: UInt64, ask: Question.Ask, body: [UInt8], caller: Caller, owner: Owner
    ) {
        self.client = client
        self.id = id
        self.ask = ask
        self.body = body
        self.caller = caller
        self.owner = owner
    }
}

extension Refusal {
    /// What Slurm's controller answers to whoever is not an operator.
    static let notOperator = Refusal(code: 2010, text: "Invalid user id")
    static let denied = Refusal(code: 2002, text: "Access/permission denied")
    static let noSuchJob = Refusal(code: 2017, text: "Invalid job id specified")
}
