"""Flask with SQLAlchemy on SQLite: accounts and transfers between them, whose sum never changes."""
import os

from flask import Flask, jsonify, request
from sqlalchemy import Column, ForeignKey, Integer, String, create_engine, event, func
from sqlalchemy.orm import declarative_base, relationship, scoped_session, sessionmaker

Base = declarative_base()
path = os.path.join(os.environ["TRIAL_FOLDER"], "ledger.sqlite3")
engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
session = scoped_session(sessionmaker(bind=engine))
app = Flask(__name__)


class Account(Base):
    __tablename__ = "accounts"
    id = Column(Integer, primary_key=True)
    name = Column(String(40), nullable=False)
    balance = Column(Integer, nullable=False)
    entries = relationship("Entry", back_populates="account", order_by="Entry.id")


class Entry(Base):
    __tablename__ = "entries"
    id = Column(Integer, primary_key=True)
    account_id = Column(Integer, ForeignKey("accounts.id"), nullable=False)
    amount = Column(Integer, nullable=False)
    account = relationship("Account", back_populates="entries")


@event.listens_for(engine, "connect")
def explicit_transactions(connection, _):
    connection.isolation_level = None  # else pysqlite begins them when it sees fit
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")


@event.listens_for(engine, "begin")
def begin(connection):
    connection.exec_driver_sql("BEGIN IMMEDIATE")


Base.metadata.create_all(engine)
with session.begin():
    if not session.query(Account).count():
        session.add_all(Account(name=f"account {number} é", balance=1000) for number in range(10))
session.remove()


@app.teardown_appcontext
def done(_):
    session.remove()


@app.get("/accounts")
def accounts():
    return jsonify([{"id": each.id, "name": each.name, "balance": each.balance}
                    for each in session.query(Account).order_by(Account.id)])


@app.get("/accounts/<int:number>")
def account(number):
    found = session.get(Account, number)
    if found is None:
        return jsonify({"error": "no such account"}), 404
    return jsonify({"balance": found.balance, "last": [entry.amount for entry in found.entries[-5:]]})


@app.post("/transfer")
def transfer():
    asked = request.get_json()
    source, target = session.get(Account, asked["from"]), session.get(Account, asked["to"])
    if source.balance < asked["amount"]:
        session.rollback()
        return jsonify({"error": "not enough"}), 409
    for each, amount in ((source, -asked["amount"]), (target, asked["amount"])):
        each.balance += amount
        session.add(Entry(account=each, amount=amount))
    session.commit()
    return jsonify({"from": source.balance, "to": target.balance})


@app.get("/sum")
def total():
    return jsonify({"sum": session.query(func.sum(Account.balance)).scalar(),
                    "entries": session.query(func.sum(Entry.amount)).scalar()})


@app.post("/forget")
def forget():
    """Old entries go, so that the file stays as it is however long this runs."""
    session.query(Entry).filter(Entry.id < session.query(func.max(Entry.id)).scalar() - 200).delete()
    session.commit()
    return "", 204
