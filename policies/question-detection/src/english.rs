//! The English phrases. `..` stands for up to four words; a phrase of [`OPENERS`] counts only where a clause starts, one
//! that begins with `^` only where a sentence does.

use crate::Rule;

/// By rule.
pub(crate) const TABLES: [(Rule, &str); 4] = [
    (Rule::Opener, OPENERS),
    (Rule::Opinion, OPINION),
    (Rule::Decision, DECISION),
    (Rule::Escalation, ESCALATION),
];

/// Short questions without a verb, and questions as commands.
const OPENERS: &str = "\
    any idea|any ideas|any objection|any objections|any news|any update|any updates|any chance|\
    any concerns|any blockers|anyone know|anyone knows|anyone using|anyone else|thoughts on|why not|\
    explain how|explain why|explain what|explain to me|explain which|tell me|tell us|let me know|\
    let us know|get back to me|speak up|help me|remind me|have a look .. tell|please review|how come|\
    mind if|ok if|okay if|fine if|alright if|fine with you if|ok with you if|okay with you if|got time|\
    got a minute|got a moment|got a sec|^whose|^who else|^what else|^where else|say which|say when|\
    say whether|say if|say go|just say|give me a sign|give me a hint|quick question|one question|\
    one more question|another question|small question|question for you|shout if|holler if|stop me if|\
    correct me if|wondering about|looking for someone|looking for somebody|looking for anyone|\
    looking for volunteers|volunteers";

const OPINION: &str = "\
    what do you think|what you think|what do you all think|what you'd do|what would you|\
    what do you prefer|what do you suggest|what do you recommend|your thoughts|your thought|\
    your opinion|your opinions|your preference|your preferences|your view on|your views on|your take on|\
    your input on|your input before|your input first|your input by|like your input|love your input|\
    want your input|like your advice|like your recommendation|any thoughts|any feedback|any opinions|\
    any preference|any preferences|any suggestions|looking for .. feedback|wdyt|weigh in|how you would|\
    how you'd|you'd rather|you would rather|you'd prefer|you would prefer|do you prefer|want yours|\
    love to hear|like to hear|curious to hear|curious what|curious how|feedback .. welcome|\
    opinions welcome|comments welcome|suggestions welcome|input welcome|ideas welcome|thoughts welcome|\
    either way is fine|a second opinion|another opinion|other opinions|feedback appreciated|\
    input appreciated|advice appreciated|help appreciated|thoughts appreciated|comments .. welcome|\
    suggestions .. welcome|ideas .. welcome|hint .. welcome|hints .. welcome|help .. welcome|\
    advice .. welcome|hear other ideas|hear better ideas|hear your|your advice|your view|get your view|\
    your input|your review on|your review of|review from you|if that's a bad idea|if that is a bad idea|\
    if you see a problem|if you see any|if you have .. better|differently|go either way|unsure about|\
    not sure about|in doubt|confused about|i'm confused|don't understand|can't figure|cannot figure";

const DECISION: &str = "\
    decide|choose|pick|approve|confirm|authorise|authorize|someone decides|somebody decides|\
    until .. decides|until .. decision|need .. decision|needs .. decision|needed .. decision|\
    waiting .. decision|blocked .. decision|pending .. decision|awaiting .. decision|\
    require .. decision|requires .. decision|want .. decision|make .. decision|your decision on|\
    your call|your choice|up to you|make the call|make a call|need .. approval|needs .. approval|\
    awaiting .. approval|waiting .. approval|requires .. approval|need .. sign-off|needs .. sign-off|\
    awaits .. sign-off|awaiting .. sign-off|waiting .. sign-off|your sign-off|need .. permission|\
    like permission|ask .. permission to|your permission|your go-ahead|need .. go-ahead|\
    waiting .. go-ahead|your blessing|your ok|your okay|your confirmation|need .. confirmation|\
    awaiting .. confirmation|waiting .. confirmation|green light from|need .. green light|\
    give .. green light|waiting .. green light|please advise|please settle|please vote|please clarify|\
    please explain|please answer|please respond|please reply|need .. clarification|clarification on|\
    let me know which|let me know whether|let me know if|let me know how|let me know what|\
    let me know when|let me know who|let me know where|yes or no|not clear to me|unclear to me|\
    was wondering|am wondering|i'm wondering|can't continue until|can't proceed until|\
    cannot continue until|cannot proceed until|and tell me|someone tell me|somebody tell me|please tell|\
    like .. sign-off|want .. sign-off|sign-off from|an ok on|an okay on|an ok for|the ok for|\
    hear from you|hear back|your answer|need an answer|needs an answer|an answer by|your reply|\
    your response|waiting for an answer|waiting for a reply|waiting for input|whenever you say|\
    say the word|on your word|take it or leave it|hoping for|if you disagree|speak up if|paused until|\
    on hold until|i propose|i'd propose|i suggest we|i'd suggest we|let's settle|settle this|settle the|\
    trying to figure out|figure out who|figure out which|figure out whether|figure out if|\
    can't tell whether|can't tell which|can't tell if|no idea|requesting a|requesting access|\
    requesting review|please accept|please review|review and accept|one of you|any of you|please say|\
    please .. say|please state|please specify|please grant|please allow|please authorise|\
    please authorize|please agree|please consent|please comment|please indicate|please select|\
    please sign|please look|please give your|please give me|your pick|your verdict|your judgment|\
    your word|for you to say|a thumbs up|thumbs-up from|a yes from|an ok from|a yes or|from legal .. on|\
    nobody objects|no one objects|somebody objects|someone objects|until a person|until a human|\
    until someone|until somebody|until you say|until you tell|until you answer|until you reply|\
    until you let|until you have|agree on the|agree on a|agree on how|decision needed|decision required|\
    decision pending|decision .. missing|input needed|input .. needed|input required|input .. required|\
    approval needed|approval required|approval .. missing|approval pending|sign-off needed|\
    sign-off required|confirmation needed|confirmation required|clarification needed|\
    clarification required|answer needed|help needed|help wanted|review needed|reviewer needed|\
    reviewers needed|reviewer wanted|volunteer needed|volunteers needed|no decision on|no answer to|\
    no decision yet|needs an approver|need an approver|need a reviewer|needs a reviewer|need an owner|\
    needs an owner|need a volunteer|need a tie-breaker|tie-breaker|need a go|need a word|\
    appreciate a decision|appreciate .. answer|appreciate .. advice|appreciate .. hint|\
    appreciate .. input|your decision|choice .. yours|decision .. yours|call is yours|leave .. to you|\
    leave the choice|leave the decision|leave that to|depends on you|gives the word|you give the|\
    somebody tells me|someone tells me|you tell me|someone to tell me|somebody to tell me|\
    tells me which|tells me whether|hear otherwise|hear an objection|stops me|stop me|until i hear|\
    unless somebody|unless someone|unless anyone|unless anybody|unless you|before you have|\
    let me have your|give the go-ahead|give your go-ahead|give me your|a go from|a go for|a nod from|\
    for permission|asking permission|permission to|asking for approval|asking for a decision|please ok|\
    please okay|please check whether|please check if|please let .. decide|please give|kindly|\
    for your decision|for your confirmation|for approval by you|have a question|have two questions|\
    have three questions|have some questions|have a few questions|got a question|got two questions|\
    a question about|a question on|a question regarding|a question for|my question is|open question is|\
    one open question|questions about your|questions on your|i wonder|i ask myself|help to know|\
    good to know which|good to know whether|good to know if|great to know|be great if you|\
    be good if you|be nice if you|be helpful if you|would help if you|appreciate it if you|\
    grateful if you|i would like you to|i'd like you to|i need you to|i want you to|leaves open|\
    leave open|left open|does not say|doesn't say|don't say|not obvious|isn't obvious|isn't clear|\
    not clear whether|not clear which|not clear if|not clear what|not clear who|not clear how|\
    could not find out|couldn't find out|can't find out|cannot find out|no clue|say yes or|or not yet|\
    to be decided|undecided|not decided yet|still open|tbd|remains open|which ones count";

const ESCALATION: &str = "\
    escalate|escalates|escalated|escalating|needs escalation|escalation needed|escalation required|\
    ask the user|ask the human|ask a human|ask the customer|ask the owner|check with|need your|\
    needs your|out of ideas|at a loss|can't make sense|cannot make sense|could use some help|\
    could use help|could use .. hand|give me a hand|lend me a hand|some help with|any help|sos|\
    your human|a human's|to a human|by a human|want a human|want a person|want somebody|\
    without a person|without a human|a person agreeing|to a manager|to the manager|to the owner|\
    to your owner|to legal first|bring it to|forward this|forward it to|hand this to|get somebody|\
    get someone|somebody else must|should go to|must go to|has to go to|exceeds my|exceeds what i|\
    exceeds the amount i|exceeds the limit i|over my limit|over my budget|not something i should|\
    not something i can|not something i may|may not decide|must not decide|can't decide|cannot decide|\
    decide this alone|on my own|permissions do not cover|permissions don't cover|role does not|\
    role doesn't|do not have the right|don't have the right|do not have enough|\
    don't have enough information|to a person|by a person|need human|needs human|need a human|\
    needs a human|need a person|needs a person|human input|human decision|human judgement|\
    human judgment|human approval|human review needed|someone should|someone has to|someone needs to|\
    someone with .. rights has|without your|not .. without .. okay|not .. without .. approval|\
    not .. without .. permission|need help|need some help|i'm stuck|i am stuck|am stuck|\
    second pair of eyes|a human to|a person to|somebody should|somebody has to|somebody needs to|\
    someone must|not allowed to|not authorised to|not authorized to|not comfortable|no right to|\
    missing permissions|missing permission|beyond my|above my|outside my|not my call|not mine to|\
    outside the policy|against the policy";
